"""Log lines without secrets and without forged lines (abuse cases A10, A36)."""

import logging
import re

_ADDRESS = re.compile(r"([A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]*@([A-Za-z0-9.\-]+)")
_TOKEN_PATH = re.compile(r"/(v|c|o|u)/([a-z0-9]{6})[A-Za-z0-9_\-]{10,}")
_MEDIA_PATH = re.compile(r"(/media/[a-z0-9]+/\w+/\d+/)[A-Za-z0-9_\-]+")
_RESET_PATH = re.compile(r"(/(?:password/reset/key|invitations)/)[A-Za-z0-9_\-]+")
_SECRETS = re.compile(
    r"(?i)\b(authorization|cookie|set-cookie|password|secret|samlresponse|ks|token)(['\"]?\s*[:=]\s*['\"]?)"
    r"(?:(?:bearer|basic|ks)\s+)?[^\s'\",;&]+"
)
# A Kaltura session wherever it stands: v2 begins with base64 of "v2|", v1 with base64 of 40 hex digits (accounts/ks.py).
_KS = re.compile(r"(djJ8|(?:[MNOYZ][DGTWjmz2][A-Za-n][h-mw-z0-5]){13})[A-Za-z0-9+/_=%\-]+")


def scrub(text: str) -> str:
    """Return `text` with addresses shortened (a…@host), tokens in paths and secrets blanked, and line breaks escaped."""
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    text = _SECRETS.sub(r"\1\2[hidden]", text)
    text = _KS.sub(lambda found: found[1][:4] + "…", text)
    text = _TOKEN_PATH.sub(r"/\1/\2…", text)
    text = _MEDIA_PATH.sub(r"\1…", text)
    text = _RESET_PATH.sub(r"\1…", text)
    return _ADDRESS.sub(r"\1…@\2", text)


class PrivateFilter(logging.Filter):
    """Scrubs the finished message of every record; a traceback keeps its lines, scrubbed one by one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg, record.args = scrub(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = "\n".join(scrub(line) for line in record.exc_text.splitlines())
        return True
