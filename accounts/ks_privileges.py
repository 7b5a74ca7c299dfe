"""The privileges of a KS: `name:value,name2,…` as text, `name=value&name2=` inside v2."""

import re
from dataclasses import dataclass

# Control characters (no client sends them, PostgreSQL refuses NUL) and the halves of characters that UTF-8 cannot hold.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Privileges:
    """The privileges of a session as pairs of name and value, in their order; a name alone has the value "".

    `*` (every privilege) is also spelled `all:*`, and always so inside v2; here it is `*`, whichever way it came.
    Raises ValueError for a pair that the text form or the wire could not give back.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.pairs:
            # Inside v2, names with an underscore are the session's own fields: a privilege must never stand for one.
            if not name or name.startswith("_"):
                raise ValueError("A privilege needs a name that does not begin with an underscore.")
            if ":" in name or "," in name + value or UNFIT.search(name + value):
                raise ValueError("A privilege's name or value holds a character that privileges cannot hold.")
        pairs = tuple(("*", "") if pair == ("all", "*") else pair for pair in self.pairs)
        object.__setattr__(self, "pairs", pairs)

    @classmethod
    def parse(cls, text: str) -> "Privileges":
        """Return the privileges of the text form; raises ValueError as the class does."""
        parts = (part.strip() for part in text.split(","))
        split = (part.partition(":") for part in parts if part)
        return cls(tuple((name, value) for name, _colon, value in split))

    def __str__(self) -> str:
        return ",".join(f"{name}:{value}" if value else name for name, value in self.pairs)

    def __contains__(self, name: str) -> bool:
        return any(name == known for known, _value in self.pairs)

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of `name`: split at `/`, those of `urirestrict` at `|`; a name given twice gives both."""
        separator = "|" if name == "urirestrict" else "/"
        return tuple(part for known, value in self.pairs if known == name and value for part in value.split(separator))
