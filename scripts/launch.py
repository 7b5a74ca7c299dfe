"""What `./run` does: make the virtual environment, install the locked dependencies, start what was asked for.

Standard library only: it runs before anything is installed.

    ./run                   everything, in the foreground; Ctrl-C stops all of it
    ./run test [...]        all tests; arguments go to pytest
    ./run lint              linters and checks
    ./run manage ...        Django's manage.py
    ./run bench [name ...]  benchmarks, compared with a baseline in the same run
"""

import ctypes.util
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("PITCH_VENV", ROOT / ".venv"))
PYTHON = VENV / "bin" / "python"


def fail(sentence: str) -> None:
    """Say what is wrong and stop."""
    sys.exit(f"Pitch cannot start: {sentence}")


def make_venv() -> None:
    """Make the virtual environment; leaves nothing half-made behind."""
    if (
        PYTHON.exists()
        and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    ):
        return
    if importlib.util.find_spec("ensurepip") is None:
        fail("this Python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv")
    if VENV.exists() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
        fail(f"{VENV} is a folder with something in it, and no virtual environment. Set PITCH_VENV to another place.")
    shutil.rmtree(VENV, ignore_errors=True)
    print("Making the virtual environment …", flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        hint = "On Debian and Ubuntu: sudo apt install python3-venv"
        fail(f"the virtual environment could not be made. {hint}\n{done.stdout}{done.stderr}")


def install(name: str) -> None:
    """Install requirements/<name>.txt if it is not what was installed last."""
    lock = ROOT / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = VENV / f"installed-{name}"
    # The development lock holds all of the base lock, so either stamp serves for the base.
    if stamp.exists() and stamp.read_text() == digest:
        return
    if name == "base" and (VENV / "installed-dev").exists():
        dev = hashlib.sha256((ROOT / "requirements" / "dev.txt").read_bytes()).hexdigest()
        if (VENV / "installed-dev").read_text() == dev:
            return
    print(f"Installing the locked dependencies ({name}) …", flush=True)
    options = ["--quiet", "--require-hashes", "-r", str(lock)]
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *options]
    if shutil.which("uv"):
        command = ["uv", "pip", "install", "--python", str(PYTHON), *options]
    if subprocess.run(command, check=False).returncode:
        fail(f"the dependencies of requirements/{name}.txt could not be installed; the lines above say why.")
    stamp.write_text(digest)


def prepare(name: str) -> None:
    """Have a virtual environment with the dependencies of one lock."""
    lock = VENV.parent / ".venv.lock"
    with lock.open("w") as held:
        try:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)  # two starts at once must not install at once
        except ImportError:
            pass
        make_venv()
        install(name)


def find_chromium() -> str:
    """Return a Chromium that starts, "" if there is none: Ubuntu's package is a stub that asks for snap."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser"):
        program = shutil.which(name) if name else None
        if program and subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return program
    return ""


def find_missing_tools() -> dict[str, list[str]]:
    """Return what the tests need and this machine lacks: what is missing, and the packages that bring it, best first."""
    missing = {}
    if not find_chromium():
        missing["chromium"] = ["chromium", "chromium-browser"]
    if not shutil.which("xmlsec1"):
        missing["xmlsec1"] = ["xmlsec1"]
    if not ctypes.util.find_library("atomic"):
        missing["libatomic"] = ["libatomic1"]  # the driver of the browser needs it
    return missing


def install_by_apt(missing: dict[str, list[str]]) -> None:
    """Try each package by itself: one that a distribution does not have must not keep the others away."""
    print(f"Installing {', '.join(missing)} by apt for the tests …", flush=True)

    def works(*words: str) -> bool:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "-qq", *words]
        return subprocess.run(command, env=quiet, check=False, stdout=subprocess.DEVNULL).returncode == 0

    works("update")
    for packages in [*missing.values(), ["fonts-dejavu-core"]]:
        any(works("install", "-y", "--no-install-recommends", package) for package in packages)


def install_test_tools() -> None:
    """Have Chromium and what else the tests need: by apt where that is allowed, else say what will not run."""
    missing = find_missing_tools()
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        install_by_apt(missing)
        missing = find_missing_tools()
    if not missing:
        return
    names = ", ".join(missing)
    bar = "!" * 78
    print(f"{bar}\nNot installed: {names}. The tests that need them will NOT run.", file=sys.stderr)
    words = " ".join(packages[0] for packages in missing.values())
    print(f"To run them: sudo apt install {words}\n{bar}", file=sys.stderr, flush=True)
    if os.environ.get("CI") == "true":
        fail(f"CI=true and {names} is missing.")


def execute(*command: object, **settings: str) -> None:
    """Become another program inside the virtual environment."""
    os.chdir(ROOT)
    words = [str(word) for word in command]
    os.execve(words[0], words, {**os.environ, **settings})


def test(arguments: list[str]) -> None:
    """Run the tests, two workers unless told otherwise."""
    prepare("dev")
    install_test_tools()
    chosen = any(a == "-n" or a.startswith(("-n", "--numprocesses")) for a in arguments)
    execute(PYTHON, "-m", "pytest", *([] if chosen else ["-n", "2"]), *arguments, CHROMIUM=find_chromium())


def main(arguments: list[str]) -> None:
    """Do what the first word says."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if word == "test":
        test(rest)
    elif word == "lint":
        prepare("dev")
        execute("/bin/sh", ROOT / "scripts" / "lint.sh", PATH=f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}")
    elif word == "manage":
        prepare("base")
        execute(PYTHON, ROOT / "manage.py", *rest, PITCH_MODE=os.environ.get("PITCH_MODE", "demo"))
    elif word == "bench":
        prepare("dev")
        execute(PYTHON, "-m", "bench", *rest, PITCH_MODE=os.environ.get("PITCH_MODE", "demo"))
    elif word == "":
        prepare("base")
        execute(PYTHON, "-m", "pitch.launcher", PITCH_MODE=os.environ.get("PITCH_MODE", "demo"))
    else:
        print(__doc__)
        sys.exit(0 if word in {"help", "-h", "--help"} else 2)


if __name__ == "__main__":
    main(sys.argv[1:])
