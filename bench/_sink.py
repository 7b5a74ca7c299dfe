"""An SMTP server that takes every mail and keeps none, as quick as Python allows: what benches of senders send to.

`python -m bench._sink` prints its port and serves until its standard input ends. Who greets as `plain.…` is not offered PIPELINING.
"""

import os
import socket
import sys
import threading

OFFERS = b"250-sink.example\r\n250-SIZE 35000000\r\n%b250 8BITMIME\r\n"
DOT = b"\r\n.\r\n"


def talk(sock: socket.socket) -> None:
    """Serve one connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"220 sink.example\r\n")
    waiting, in_body = b"", False
    while data := sock.recv(1 << 17):
        waiting += data
        answers = b""
        while True:
            if in_body:
                end = waiting.find(DOT)
                if end < 0:
                    waiting = waiting[-4:]  # a dot may stand across two pieces
                    break
                waiting, in_body = waiting[end + 5 :], False
                answers += b"250 2.0.0 kept\r\n"
            line, found, rest = waiting.partition(b"\r\n")
            if not found:
                break
            waiting, word = rest, line[:4].upper()
            if word == b"DATA":
                # The body's first line may be the dot: then the CRLF before it is that of DATA.
                waiting, in_body = b"\r\n" + waiting, True
                answers += b"354 go\r\n"
            elif word == b"EHLO":
                answers += OFFERS % (b"" if line[5:].startswith(b"plain.") else b"250-PIPELINING\r\n")
            elif word == b"QUIT":
                sock.sendall(answers + b"221 bye\r\n")
                return
            else:
                answers += b"250 2.1.0 ok\r\n"
        if answers:
            sock.sendall(answers)


def main() -> None:
    """Serve."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        sock, _peer = listener.accept()
        with sock:
            talk(sock)


if __name__ == "__main__":
    main()
