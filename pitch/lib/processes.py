"""Child processes that never outlive us: own group each, a death signal, and a stop that takes grandchildren along."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Ask Linux to terminate this process when its parent dies, even by SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(
    command: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own that ends with us; `options` go to Popen."""
    return subprocess.Popen(
        list(command),
        env=None if environment is None else dict(environment),
        process_group=0,
        preexec_fn=die_with_parent,
        stdin=subprocess.DEVNULL,
        **options,
    )


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the process's whole group; silent if nobody is left in it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def group_is_alive(process: subprocess.Popen[bytes]) -> bool:
    """Say whether anybody is left in the process's group (zombies of ours are reaped first)."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop(running: Sequence[subprocess.Popen[bytes]], grace: float = 10.0) -> None:
    """Terminate processes all at once, and after `grace` seconds together kill whatever is left of their groups."""
    for process in running:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + grace
    while time.monotonic() < end and any(process.poll() is None for process in running):
        time.sleep(0.05)
    for process in running:
        signal_group(process, signal.SIGTERM)
    end = max(end, time.monotonic() + 1)
    while time.monotonic() < end and any(group_is_alive(process) for process in running):
        time.sleep(0.05)
    for process in running:
        signal_group(process, signal.SIGKILL)
        process.wait()
