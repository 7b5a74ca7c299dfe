"""What the tests of the SMTP settings API share: its two addresses, its answers, a call that works."""

from accounts import ks
from accounts.ks import SessionType

CONFIG = "/digitanium/v4/mail/config"
SETUP = "/auth/realms/acme/mail/setup"
OK = {"message": "Successfully updated SMTP Details", "status": "OK", "subSystem": 8}
MANDATORY = {
    "message": "Host and From is mandatory to update Email Configuration.",
    "status": "BAD_REQUEST",
    "subSystem": 8,
}
UNAUTHORIZED = {"message": "HTTP 401 Unauthorized", "status": "Unauthorized", "subSystem": 8}
# The source's sample, with addresses in place of its asterisks.
SAMPLE = {
    "replyToDisplayName": "Receiver",
    "starttls": "true",
    "port": "587",
    "host": "smtp.gmail.com",
    "replyTo": "answers@acme.test",
    "from": "videos@acme.test",
    "fromDisplayName": "From KC Test team",
    "envelopeFrom": "",
    "ssl": "false",
    "user": "videos@acme.test",
    "password": "canary-5e1b6c",
}
LEAST = {"host": "smtp.relay.example", "from": "videos@acme.test"}


def session(organization, type=SessionType.ADMIN, user_id="ops@acme.test", **fields):
    return ks.start(organization, type=type, user_id=user_id, **fields)


def refused(answer, code, words=""):
    """Hold an answer against the form of every refusal; returns its message."""
    said = answer.json()
    assert answer.status_code == code, said
    assert set(said) == {"message", "status", "subSystem"}
    assert words in said["message"]
    return said["message"]
