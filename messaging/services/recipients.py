"""Recipients as people type and paste them: parsing, mistakes pointed out, suggestions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Organization, Person, User
from messaging.limits import MAX_BCC, MAX_RECIPIENTS
from messaging.models import Delivery
from pitch.lib import limiter
from pitch.lib.emails import CONTROL, BadAddress, address_key, normalize

MAX_TEXT = 20_000
MAX_NAME = 120
SEARCHES_PER_MINUTE = 120
COMMON_DOMAINS = (
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "yahoo.com",
    "icloud.com",
    "live.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "protonmail.com",
    "googlemail.com",
)
BRACKETED = re.compile(r'(?:"[^"]*"|[^"<>])*<[^<>]*>')  # a name, if any, and an address in angle brackets
QUOTED = re.compile(r"""\"[^"]*\"|^\s*'[^']*'\s*$""")
WRONG_ENDINGS = {"con": "com", "cmo": "com", "ocm": "com", "comm": "com", "nte": "net", "ogr": "org"}


@dataclass(frozen=True)
class ParsedAddress:
    """One recipient as typed. `problem` is a sentence if it cannot be sent to; `suggestion` a probable correction."""

    name: str
    address: str
    problem: str = ""
    suggestion: str = ""

    @property
    def key(self) -> str:
        """The address key, or the typed text where there is no address."""
        try:
            return address_key(self.address)
        except BadAddress:
            return self.address.casefold()


@dataclass(frozen=True)
class Problems:
    """What stands against sending: sentences about the whole, and duplicates by address key."""

    sentences: list[str]
    duplicates: list[str]


def split(text: str) -> list[str]:
    """Split a pasted list at commas, semicolons, tabs and line ends, but not inside quotes or angle brackets."""
    parts, current, quoted, bracketed = [], "", False, False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        elif letter == "<" and not quoted:
            bracketed = True
        elif letter == ">" and not quoted:
            bracketed = False
        at_line_end = letter in "\r\n"
        if (letter in ",;\t" and not quoted and not bracketed) or at_line_end:
            parts.append(current)
            current = ""
            if at_line_end:
                quoted = bracketed = False
        else:
            current += letter
    parts.append(current)
    return [part.strip() for part in parts if part.strip()]


def join_split_names(parts: list[str]) -> list[str]:
    """Put `Last, First <a@b>` together again: a part without an address belongs to a following `… <a@b>`."""
    joined: list[str] = []
    for part in parts:
        if joined and "@" not in joined[-1] and "<" in part and len(joined[-1]) < 60:
            joined[-1] = f"{joined[-1]}, {part}"
        else:
            joined.append(part)
    return joined


def part_addresses(part: str) -> list[str]:
    """Part `Anna <a@b> Ben <c@d>` after each closing bracket; what follows the last one stays with it unless it has an address."""
    pieces, at = [], 0
    while match := BRACKETED.match(part, at):
        pieces.append(match[0].strip())
        at = match.end()
    rest = part[at:].strip()
    if pieces and "@" not in rest:
        pieces[-1] = f"{pieces[-1]} {rest}".strip()
    elif rest:
        pieces += part_words(rest)
    return pieces


def part_words(part: str) -> list[str]:
    """Part addresses with only spaces between them."""
    words = part.split()
    return words if "<" not in part and all("@" in word for word in words) else [part]


def parse_one(text: str, known_domains: Iterable[str] = ()) -> ParsedAddress:
    """Parse one recipient: `Name <a@b>`, `"Last, First" <a@b>`, `mailto:a@b` or a bare address.

    One address only (A6): a second one outside quotes is a problem, not dropped.
    """
    text = text.strip().strip(",;").strip()
    match = re.match(r"^(?P<name>.*?)<\s*(?:mailto:)?(?P<address>[^<>]*)>\s*$", text, re.S)
    if match and names_somebody_else(match["name"], match["address"]):
        # Which of them is meant is not for us to say: it stands there until it is mended.
        words = _("“%(text)s” holds more than one address. Write them one by one, with commas between.")
        return ParsedAddress("", text[:254], problem=words % {"text": CONTROL.sub(" ", text)[:80]})
    name, address = (match["name"], match["address"]) if match else ("", re.sub(r"(?i)^mailto:", "", text))
    name = CONTROL.sub(" ", name).strip().strip("\"'").strip()[:MAX_NAME]
    address = address.strip().strip("\"'").strip()
    try:
        address = normalize(address)
    except BadAddress as err:
        return ParsedAddress(name, address[:254], problem=str(err))
    if "@" in name and not same_address(name, address):
        # A display name that is another address would show the recipient somebody else (A6).
        name = ""
    return ParsedAddress(name, address, suggestion=suggest(address, known_domains))


def names_somebody_else(name: str, address: str) -> bool:
    """Say whether an unquoted part before `<address>` holds another address, or brackets of its own."""
    bare = QUOTED.sub("", name)
    words = [word.strip("()[],;:'\"") for word in bare.split()]
    return bool(set("<>") & set(bare)) or any(
        re.fullmatch(r"[^@]+@[^@]+", word) and not same_address(word, address.strip()) for word in words
    )


def same_address(name: str, address: str) -> bool:
    """Say whether a display name is nothing but the address itself."""
    return name.casefold() == address.casefold()


def parse(text: str, known_domains: Iterable[str] = ()) -> list[ParsedAddress]:
    """Parse a pasted or typed list of recipients, at most 20 000 characters; nothing that was typed is dropped."""
    domains = tuple(known_domains)
    parts = join_split_names(split(text[:MAX_TEXT]))
    found = []
    for part in parts:
        found += [parse_one(piece, domains) for piece in part_addresses(part)]
    return found


def distance(one: str, other: str) -> int:
    """Return how many letters must be added, dropped, changed or swapped with their neighbour (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(row[j - 1] + 1, rows[i - 1][j] + 1, rows[i - 1][j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], rows[i - 2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def suggest(address: str, known_domains: Iterable[str] = ()) -> str:
    """Return the address that was probably meant, or nothing: a domain one letter off a common or known one."""
    local, _at, domain = address.rpartition("@")
    known = {*COMMON_DOMAINS, *known_domains}
    if domain in known:
        return ""
    stem, _dot, ending = domain.rpartition(".")
    if ending in WRONG_ENDINGS:
        return f"{local}@{stem}.{WRONG_ENDINGS[ending]}"
    limit = 2
    near = sorted(
        (distance(domain, other), other) for other in known if abs(len(domain) - len(other)) <= 1 and len(other) > 6
    )
    return f"{local}@{near[0][1]}" if near and 0 < near[0][0] < limit else ""


def known_domains(user: User) -> set[str]:
    """Return the domains of this user's organization and of those recently written to, for suggestions."""
    recent = (
        Delivery.objects.for_organization(user.organization)
        .filter(message__sender=user, state__in=["accepted", "delivered"])
        .order_by("-id")
        .values_list("address", flat=True)[:200]
    )
    own = [] if user.organization is None else user.organization.verified_domains.values_list("domain", flat=True)
    return {*own, user.email.rpartition("@")[2], *(address.rpartition("@")[2] for address in recent)}


def check(to: list[ParsedAddress], bcc: list[ParsedAddress]) -> Problems:
    """Return what stands against sending to these: the limits of R376 and R377, bad addresses, duplicates."""
    sentences, seen, duplicates = [], set(), []
    for field, limit, rows in (("To", MAX_RECIPIENTS, to), ("Bcc", MAX_BCC, bcc)):
        if len(rows) > limit:
            sentences.append(
                _("%(field)s holds %(count)d addresses; at most %(limit)d are allowed. Take %(over)d out.")
                % {"field": field, "count": len(rows), "limit": limit, "over": len(rows) - limit}
            )
        for row in rows:
            if row.problem:
                sentences.append(row.problem)
            elif row.key in seen:
                duplicates.append(row.key)
            seen.add(row.key)
    for key in duplicates:
        sentences.append(_("%(address)s is in the list twice; everybody gets one mail.") % {"address": key})
    return Problems(sentences, duplicates)


class TooManySearches(Exception):
    """Somebody asks more often than typing explains (abuse case A20)."""


def search(organization: Organization, user: User, query: str, limit: int = 8) -> list[dict[str, str]]:
    """Return people of the own organization's directory and recent recipients of this user whose name or address fits.

    Returns dictionaries with name, address and why. Fewer than two letters find nothing. Raises TooManySearches.
    """
    query = CONTROL.sub(" ", query).strip()[:60]
    if len(query) < 2:
        return []
    if limiter.too_many("recipient-search", user.pk, SEARCHES_PER_MINUTE):
        raise TooManySearches
    recent = (
        Delivery.objects.for_organization(organization)
        .filter(Q(name__icontains=query) | Q(address__icontains=query), message__sender=user, message__is_test=False)
        .exclude(address="")
        .order_by("-id")
        .values("name", "address", "address_key")[:50]
    )
    people = (
        Person.objects.for_organization(organization)
        .filter(Q(full_name__icontains=query) | Q(email__icontains=query), status=Person.Status.ACTIVE)
        .exclude(address_key="")
        .order_by("full_name")[:50]
    )
    found: dict[str, dict[str, str]] = {}
    for row in recent:
        found.setdefault(
            row["address_key"], {"name": row["name"], "address": row["address"], "why": _("You wrote before")}
        )
    for person in people:
        found.setdefault(
            person.address_key,
            {"name": person.full_name, "address": person.email, "why": person.company or _("Your organization")},
        )
    low = query.casefold()

    def rank(row: dict[str, str]) -> tuple[int, str]:
        starts = row["name"].casefold().startswith(low) or row["address"].casefold().startswith(low)
        return (0 if starts else 1, row["name"].casefold())

    return sorted(found.values(), key=rank)[:limit]
