"""A server on loopback that says exactly the bytes a test gives it, and keeps exactly the bytes it got.

A script is a function that is given the wire of one connection and talks; when it returns, the connection is closed. Each
connection takes the next script, the last one is used again.
"""

import contextlib
import socket
import threading
from collections.abc import Callable


class Wire:
    """One connection as the server sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(10)
        self.received = b""
        self._taken = 0

    def say(self, *lines: str | bytes) -> None:
        """Send lines, a CRLF after each, in one write."""
        raw = [line.encode() if isinstance(line, str) else line for line in lines]
        self.sock.sendall(b"".join(line + b"\r\n" for line in raw))

    def until(self, end: bytes) -> bytes:
        """Return what comes, up to and with `end`; raises EOFError if the client goes before."""
        while (at := self.received.find(end, self._taken)) < 0:
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self.received += data
        begin, self._taken = self._taken, at + len(end)
        return self.received[begin : self._taken]

    def line(self) -> bytes:
        """Return the next line without its end."""
        return self.until(b"\r\n")[:-2]

    def greet(self, *offers: str) -> None:
        """Greet, take EHLO, offer."""
        self.say("220 mail.example")
        self.ehlo(*offers)

    def ehlo(self, *offers: str) -> None:
        """Take EHLO and offer."""
        assert self.line().startswith(b"EHLO ")
        *first, last = ["mail.example", *offers]
        self.say(*(f"250-{word}" for word in first), f"250 {last}")

    def open_mail(self) -> None:
        """Take MAIL, RCPT and DATA one after the other."""
        for reply in ("250 ok", "250 ok", "354 go"):
            self.line()
            self.say(reply)

    def body(self) -> bytes:
        """Return a mail's content as it came, with the dot."""
        return self.until(b"\r\n.\r\n")

    def start_tls(self, context) -> None:
        """Shake hands."""
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def wait(self) -> None:
        """Say nothing until the client has gone."""
        with contextlib.suppress(OSError):
            while self.sock.recv(1 << 20):
                pass

    def hang_up(self) -> None:
        """End the connection at once."""
        self.sock.close()


class ScriptedServer:
    """Runs the scripts; `wires` are its connections so far. Leave the `with` block to see what a script found wrong."""

    def __init__(self, *scripts: Callable[[Wire], None]) -> None:
        self.scripts = scripts
        self.wires: list[Wire] = []
        self.wrong: list[BaseException] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> "ScriptedServer":
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        # Closing alone would leave the thread in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in [self.thread, *self.threads]:
            thread.join(10)
        if error is None and self.wrong:
            raise self.wrong[0]

    @property
    def received(self) -> bytes:
        """Everything that came in, over all connections."""
        return b"".join(wire.received for wire in self.wires)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _peer = self.listener.accept()
                wire = Wire(sock)
                self.wires.append(wire)
                script = self.scripts[min(len(self.wires), len(self.scripts)) - 1]
                self.threads.append(threading.Thread(target=self._talk, args=(script, wire), daemon=True))
                self.threads[-1].start()

    def _talk(self, script: Callable[[Wire], None], wire: Wire) -> None:
        try:
            script(wire)
        except (EOFError, OSError):
            pass  # the client has gone: what it did is in `received`
        except BaseException as err:  # noqa: BLE001  (an assertion of a script fails the test, not the thread)
            self.wrong.append(err)
        finally:
            # A close with unread bytes is a reset, which would take our last words from the client.
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_WR)
                wire.wait()
            wire.sock.close()
