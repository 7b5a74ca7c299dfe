"""A mail server for drills: counts copies by address and does what the address asks for.

The word before the first dash of the address decides: `ok`, `defer` (451 at RCPT), `bounce` (550 at RCPT), `policy` (550 5.7.1
after the mail), `dropbefore` (hangs up at DATA), `dropafter` (takes the mail, then hangs up without a reply), `stall` (answers the
final dot two seconds late). `defer` and `dropbefore` do so only the first time.
"""

import asyncio
import threading
import time
from collections import Counter

STALL_SECONDS = 2.0


class Sink:
    """The server, in a thread of its own. `copies` counts what was taken, `last` is when (monotonic, seconds)."""

    def __init__(self, *, slowness: float = 0.0) -> None:
        self.slowness = slowness
        self.copies: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.last = 0.0
        self.recipients_of_a_mail = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.server = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        self.port: int = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End the server."""
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 drill.test ESMTP\r\n")
        while True:
            await writer.drain()
            line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").strip()
            verb = line[:4].upper()
            if verb == "EHLO":
                writer.write(b"250-drill.test\r\n250-PIPELINING\r\n250 SIZE 50000000\r\n")
            elif verb == "RCPT":
                address = line.partition("<")[2].partition(">")[0]
                writer.write(self._answer_recipient(address, recipients))
            elif verb == "DATA":
                if not recipients:
                    writer.write(b"503 5.5.1 no recipient\r\n")
                    continue
                if self._kind(recipients[0]) == "dropbefore" and self.seen[recipients[0]] == 1:
                    return
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await reader.readuntil(b"\r\n.\r\n")
                if not await self._take(recipients[0], writer):
                    return
                self.recipients_of_a_mail = max(self.recipients_of_a_mail, len(recipients))
                recipients = []
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                return
            else:
                if verb in {"MAIL", "RSET"}:
                    recipients = []
                writer.write(b"250 ok\r\n")

    @staticmethod
    def _kind(address: str) -> str:
        return address.partition("-")[0]

    def _answer_recipient(self, address: str, recipients: list[str]) -> bytes:
        self.seen[address] += 1
        kind = self._kind(address)
        if kind == "bounce":
            return b"550 5.1.1 no such user\r\n"
        if kind == "defer" and self.seen[address] == 1:
            return b"451 4.7.1 try again in 10 seconds\r\n"
        recipients.append(address)
        return b"250 ok\r\n"

    async def _take(self, address: str, writer: asyncio.StreamWriter) -> bool:
        """Answer a mail; False if the connection is to be dropped."""
        kind = self._kind(address)
        if kind == "policy":
            writer.write(b"550 5.7.1 refused by policy\r\n")
            return True
        self.copies[address] += 1
        self.last = time.monotonic()
        if kind == "dropafter":
            return False
        await asyncio.sleep(STALL_SECONDS if kind == "stall" else self.slowness)
        writer.write(b"250 2.0.0 kept\r\n")
        return True
