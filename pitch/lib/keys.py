"""The demo's keys: made once and kept in PITCH_DATA/keys.json (0600), so that `./run` needs no set-up at all."""

import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet


def load_or_make(folder: Path) -> dict[str, str]:
    """Return the demo's keys, making them on the first call.

    `folder` is PITCH_DATA. Returns the settings PITCH_SECRET_KEY, PITCH_ENCRYPTION_KEYS and PITCH_LINK_KEYS as text.
    Two processes may call this at once: the first to link its file into place wins, both read that one.
    """
    path = folder / "keys.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = {
            "PITCH_SECRET_KEY": secrets.token_urlsafe(48),
            "PITCH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PITCH_LINK_KEYS": secrets.token_urlsafe(32),
        }
        draft = folder / f"keys.{secrets.token_hex(8)}.tmp"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(fresh, file)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return dict(json.loads(path.read_text(encoding="utf-8")))
