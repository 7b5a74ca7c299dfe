"""A mail server that only counts, in a process of its own: quick enough that it is the sender that is measured."""

import multiprocessing
import os
import selectors
import socket
from multiprocessing.connection import Connection
from typing import Any

GREETING = b"220 sink.test ESMTP\r\n"
EHLO = b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n"


class Session:
    """One connection: bytes in, replies out."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rest = b""
        self.in_data = False
        self.mails = 0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(GREETING)

    def read(self) -> bool:
        """Answer what has come; False when the client is gone."""
        data = self.connection.recv(262_144)
        if not data:
            return False
        self.rest += data
        replies = []
        while True:
            if self.in_data:
                end = self.rest.find(b"\r\n.\r\n")
                if end < 0:
                    break
                self.rest, self.in_data = self.rest[end + 5 :], False
                self.mails += 1
                replies.append(b"250 2.0.0 kept\r\n")
                continue
            line, found, rest = self.rest.partition(b"\r\n")
            if not found:
                break
            self.rest = rest
            replies.append(self.answer(line[:4].upper(), line))
        if replies:
            self.connection.sendall(b"".join(replies))
        return True

    def answer(self, verb: bytes, line: bytes) -> bytes:
        """Return the reply to a command. Who greets as `plain.…` is not offered PIPELINING."""
        if verb == b"DATA":
            self.in_data = True
            return b"354 go on\r\n"
        offers = EHLO.replace(b"250-PIPELINING\r\n", b"") if line[5:].startswith(b"plain.") else EHLO
        return {b"EHLO": offers, b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")


def serve(pipe: Connection, processor: int | None) -> None:
    """Listen until told to stop; tells the port, and at each question how many mails it has taken."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(pipe.fileno(), selectors.EVENT_READ)
    mails = 0
    while True:
        for key, _events in waiting.select():
            if key.fileobj is listener:
                connection, _address = listener.accept()
                waiting.register(connection, selectors.EVENT_READ, Session(connection))
            elif key.data is None:
                if pipe.recv() == "stop":
                    return
                pipe.send(mails)
            else:
                before = key.data.mails
                try:
                    alive = key.data.read()
                except OSError:
                    alive = False
                mails += key.data.mails - before
                if not alive:
                    waiting.unregister(key.fileobj)
                    key.data.connection.close()


class Sink:
    """The server, as a context: `port`, and `mails()` it has taken so far."""

    def __init__(self, processor: int | None = None) -> None:
        self.processor = processor

    def __enter__(self) -> "Sink":
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=serve, args=(theirs, self.processor), daemon=True
        )
        self.process.start()
        self.port: int = self.pipe.recv()
        return self

    def mails(self) -> int:
        """Return how many mails came."""
        self.pipe.send("mails")
        return int(self.pipe.recv())

    def __exit__(self, *error: Any) -> None:
        self.pipe.send("stop")
        self.process.join(5)
