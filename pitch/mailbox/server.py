"""The demo's mail server: a real SMTP server on loopback that keeps every mail as one file."""

import asyncio
import os
import secrets
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

SIZE_LIMIT = 40_000_000
# Recipients by which the demo shows what a mail server may say.
REFUSED = "refused"
GREYLISTED = "greylisted"


class Mailbox:
    """aiosmtpd's handler: keeps mails below `folder`, refuses what the demo's special names ask for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[str] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, except `refused…@` (550) and the first try of `greylisted…@` (451)."""
        local = address.lower()
        if local.startswith(REFUSED):
            return "550 5.1.1 No such mailbox here (the demo refuses addresses that begin with “refused”)".replace(
                "“", '"'
            ).replace("”", '"')
        if local.startswith(GREYLISTED) and local not in self.seen:
            self.seen.add(local)
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail; the reply comes only when the file is in place."""
        content = envelope.original_content or b""
        keep(self.folder, envelope.mail_from or "", list(envelope.rcpt_tos), content)
        return "250 2.0.0 Kept in the local mailbox"


def keep(folder: Path, sender: str, recipients: list[str], content: bytes) -> Path:
    """Write one mail as received, preceded by its envelope as header lines (design.md §2); returns the file.

    The file appears under its name only when it is complete; names sort by time.
    """
    head = [f"X-Envelope-From: {sender}", *(f"X-Envelope-To: {recipient}" for recipient in recipients)]
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    draft = folder / f".{name}.tmp"
    draft.write_bytes("".join(f"{line}\r\n" for line in head).encode() + content)
    final = folder / f"{name}.eml"
    os.replace(draft, final)
    return final


async def serve(folder: Path, port: int) -> None:
    """Serve on 127.0.0.1:`port` until cancelled."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = Mailbox(folder)
    loop = asyncio.get_running_loop()

    def factory() -> SMTP:
        return SMTP(handler, hostname="mailbox.pitch.test", data_size_limit=SIZE_LIMIT, enable_SMTPUTF8=True)

    server = await loop.create_server(factory, "127.0.0.1", port)
    async with server:
        await server.serve_forever()
