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


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> None:
    """Terminate a process, and after `grace` seconds kill whatever is left of its group."""
    if process.poll() is None:
        process.terminate()
    end = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    signal_group(process, signal.SIGTERM)
    while group_is_alive(process) and time.monotonic() < end:
        time.sleep(0.05)
    signal_group(process, signal.SIGKILL)
    process.wait()
