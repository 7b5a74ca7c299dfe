"""Model fields shared by the apps: encrypted text and JSON, random public codes."""

import json
import secrets
from typing import Any

from django.db import models

from pitch.lib import crypto

CODE_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else when read aloud
EXPORTED = "encrypted:"


def new_code() -> str:
    """Return a random public id of 16 characters (79 bits; an id, never a secret: links carry a MAC beside it)."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(16))


class CodeField(models.CharField):
    """The random public id of a row: 16 characters, unique, made with the row, never changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 16)
        kwargs.setdefault("unique", True)
        kwargs.setdefault("editable", False)
        kwargs.setdefault("default", new_code)
        super().__init__(*args, **kwargs)


class EncryptedTextField(models.TextField):
    """Text that stands in the database only as a Fernet token (ASVS 11.3; abuse case A41). Empty stays empty.

    dumpdata writes the token, too, and loaddata opens it (abuse case A34).
    """

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        """Open the stored token; raises crypto.WrongKey if no key fits."""
        return crypto.decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        """Close the text under the first key."""
        return crypto.encrypt(str(value)) if value else value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the value for an export: closed, under a prefix that tells a token from a value."""
        token = self.get_prep_value(self.value_from_object(obj))
        return f"{EXPORTED}{token}" if token else ""

    def to_python(self, value: Any) -> Any:
        """Open what an export holds, keep all else as it is; raises crypto.WrongKey if no key fits."""
        if isinstance(value, str) and value.startswith(EXPORTED):
            return self.from_db_value(value.removeprefix(EXPORTED), None, None)
        return value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Check a value without `to_python`: what somebody typed is never opened, whatever it looks like."""
        self.validate(value, model_instance)
        self.run_validators(value)
        return value


class EncryptedJSONField(EncryptedTextField):
    """A JSON value that stands in the database only as a Fernet token. Forms never show it."""

    # For django-stubs: a value is whatever JSON holds, not text.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        """Open and parse the stored token; raises crypto.WrongKey if no key fits."""
        return json.loads(crypto.decrypt(value)) if value else None

    def get_prep_value(self, value: Any) -> Any:
        """Serialize and close the value under the first key."""
        return None if value is None else crypto.encrypt(json.dumps(value))


ENCRYPTED_FIELDS = (EncryptedTextField, EncryptedJSONField)
