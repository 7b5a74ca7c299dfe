"""Who holds a row: enough to tell, on the same host, whether the holder still lives."""

import os
import secrets
import socket
from pathlib import Path


def start_time(pid: int) -> str:
    """Return when a process started, in the kernel's ticks since boot; "" if there is no such process (or no /proc)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold anything; the fields behind the last bracket are safe to split (proc(5): field 22).
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def new_lease() -> str:
    """Return a lease of this process: host, process id, its start, and something random."""
    pid = os.getpid()
    return f"{socket.gethostname()[:60]}|{pid}|{start_time(pid)}|{secrets.token_hex(6)}"


def is_dead(lease: str) -> bool:
    """Say whether the holder of a lease is known to be gone: same host, and that process is not there any more."""
    host, _bar, rest = lease.partition("|")
    pid, _bar, rest = rest.partition("|")
    started = rest.partition("|")[0]
    if host != socket.gethostname()[:60] or not pid.isdigit() or not started:
        return False
    return start_time(int(pid)) != started
