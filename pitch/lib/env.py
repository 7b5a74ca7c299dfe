"""The one reader of the environment: typed, and a bad value stops the start with a sentence that names it.

Every read is remembered in `READ`, so that a test can hold docs/configuration.md and .env.example against the code.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pitch.lib import hosts


class BadSetting(Exception):
    """A setting of the environment cannot be used; the message names it and says what would work."""


READ: set[str] = set()


class Environment:
    """Reads settings from a mapping (by default the process's environment).

    `X_FILE` is honoured for every setting X: the value is then the file's content, for secrets mounted as files.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = os.environ if values is None else values

    def raw(self, name: str) -> str | None:
        """Return the value of `name`, or the content of the file that `name`_FILE names, or None if unset or empty."""
        if self.values is os.environ:
            READ.add(name)
        path = self.values.get(f"{name}_FILE", "")
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip() or None
            except OSError as err:
                raise BadSetting(
                    f"{name}_FILE names {path}, which cannot be read: {err.strerror}. Check the path and its rights."
                ) from err
        return self.values.get(name, "").strip() or None

    def text(self, name: str, default: str = "") -> str:
        """Return `name` as text, or `default`."""
        value = self.raw(name)
        return default if value is None else value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return `name` if it is one of `allowed`; raises BadSetting otherwise."""
        value = self.text(name, default)
        if value not in allowed:
            raise BadSetting(f"{name} is “{value}”; it must be one of: {', '.join(allowed)}.")
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """Return `name` as true or false; accepts true/false, yes/no, on/off, 1/0 in any case."""
        value = self.raw(name)
        if value is None:
            return default
        if value.lower() in {"true", "yes", "on", "1"}:
            return True
        if value.lower() in {"false", "no", "off", "0"}:
            return False
        raise BadSetting(f"{name} is “{value}”; write true or false.")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
        """Return `name` as a whole number from `minimum` to `maximum`; raises BadSetting otherwise."""
        value = self.raw(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError as err:
            raise BadSetting(f"{name} is “{value}”; it must be a whole number.") from err
        if not minimum <= number <= maximum:
            raise BadSetting(f"{name} is {number}; it must lie between {minimum} and {maximum}.")
        return number

    def items(self, name: str, default: str = "") -> list[str]:
        """Return the comma-separated parts of `name`, trimmed, without empty ones."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def url(self, name: str, default: str = "", *, schemes: tuple[str, ...] = ("https", "http")) -> str:
        """Return `name` as an absolute address without a trailing slash; raises BadSetting for anything else."""
        value = self.text(name, default)
        if not value:
            return ""
        wrong = BadSetting(f"{name} is “{value}”; it must be an address like {schemes[0]}://host.")
        try:
            parts = urlsplit(value)
            _port = parts.port  # read for its check: a port that is no number raises
        except ValueError as err:
            raise wrong from err
        # A socket has a path and no host.
        is_place = bool(parts.path) if parts.scheme == "unix" else hosts.is_host(parts.hostname or "")
        if parts.scheme not in schemes or not is_place:
            raise wrong
        return value.rstrip("/")

    def host_name(self, name: str) -> str:
        """Return `name` as a host name without outer dots, "" if unset; raises BadSetting for anything else."""
        value = self.text(name).strip(".").lower()
        if value and not hosts.is_name(value):
            raise BadSetting(
                f"{name} is “{value}”; it must be a host name like pitch.example.org, without https:// or port."
            )
        return value

    def program(self, name: str) -> str:
        """Return `name` as a program that can be started (a path, or a name on PATH), "" if unset; raises BadSetting."""
        value = self.text(name)
        if value and shutil.which(value) is None:
            raise BadSetting(f"{name} is “{value}”; there is no such program, or it may not be executed.")
        return value

    def folder(self, name: str, default: Path) -> Path:
        """Return `name` as an absolute folder path (a leading ~ is the home folder)."""
        value = self.raw(name)
        return (Path(value).expanduser() if value else default).resolve()
