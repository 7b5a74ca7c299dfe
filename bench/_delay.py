"""A line with a round trip of its own: passes bytes on, each way half of it late. In a process of its own."""

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what is read, in order, each piece so late."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                sink.close()
                return
            sink.write(data)

    delivering = asyncio.ensure_future(deliver())
    try:
        while data := await source.read(1 << 17):
            pieces.put_nowait((loop.time() + seconds, data))
    except OSError:
        pass
    pieces.put_nowait((loop.time() + seconds, b""))
    await delivering


async def serve(pipe: Connection, target: int, seconds: float) -> None:
    """Listen, tell the port, carry until killed."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(carry(reader, there_writer, seconds), carry(there_reader, writer, seconds))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main(pipe: Connection, target: int, seconds: float) -> None:
    """Run the line."""
    asyncio.run(serve(pipe, target, seconds))


class Line:
    """A line to the port `target` with a round trip of `seconds`, as a context: `port`."""

    def __init__(self, target: int, seconds: float) -> None:
        self.target, self.seconds = target, seconds

    def __enter__(self) -> "Line":
        ours, theirs = multiprocessing.Pipe()
        work = (theirs, self.target, self.seconds / 2)
        self.process = multiprocessing.get_context("fork").Process(target=main, args=work, daemon=True)
        self.process.start()
        self.port: int = ours.recv()
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.kill()
        self.process.join()
