"""A wire to another server that can be cut and mended."""

import asyncio
import threading
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on to the server of `url`; while closed, nobody listens and every connection is cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname, parts.port or 6379)
        self.writers: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = 0
        self.server: asyncio.Server | None = None
        self.open()
        login = parts.netloc.rpartition("@")[0]
        self.address = f"{parts.scheme}://{login}{'@' if login else ''}127.0.0.1:{self.port}{parts.path}"

    def open(self) -> None:
        """Listen, at the same port as before."""
        starting = asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.server = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and cut every connection."""
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result(10)

    async def _cut(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        self.writers |= {writer, there_writer}
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self.writers -= {writer, there_writer}
            writer.transport.abort()
            there_writer.transport.abort()

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.transport.abort()
