"""What people write, made safe: a short list of tags, links that lead where they say (abuse case A7)."""

import re

import nh3
from inscriptis import get_text
from inscriptis.model.config import ParserConfig

TAGS = {"p", "br", "strong", "b", "em", "i", "u", "s", "ul", "ol", "li", "a", "blockquote", "h2", "h3"}
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
SCHEMES = {"https", "http", "mailto"}
MAX_LENGTH = 50_000


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Keep a link only if it names its scheme: nh3 lets `//host` and relative addresses pass."""
    if tag == "a" and name == "href":
        return value if re.match(r"(?i)^(https?://[^/]|mailto:[^/])", value.strip()) else None
    return value


def clean_html(html: str) -> str:
    """Return `html` with nothing but paragraphs, lists, emphasis and links (https, http, mailto) in it.

    Scripts, styles, pictures, forms, comments and event handlers are gone; links open without a handle on the page they came
    from. At most 50 000 characters are read.
    """
    return nh3.clean(
        html[:MAX_LENGTH].replace("\0", ""),  # PostgreSQL keeps no NUL
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer",
        clean_content_tags={"script", "style", "title", "template", "noscript", "iframe", "object", "svg", "math"},
    ).strip()


def from_editor(text: str) -> str:
    """Return what the editor sent, clean: HTML as it is, and plain text (typed without scripts) as paragraphs."""
    return clean_html(as_html(text))


def as_html(text: str) -> str:
    """Return what the editor sent as HTML that is not clean yet."""
    return text if re.match(r"\s*<(p|ul|ol|blockquote|h[23])\b", text) else text_to_html(text)


def text_to_html(text: str) -> str:
    """Return plain text as paragraphs (for a field that was filled without scripts)."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(f"<p>{nh3.clean_text(block).replace(chr(10), '<br>')}</p>" for block in blocks if block.strip())


def to_text(html: str) -> str:
    """Return sanitised HTML as plain text for the mail's text part: lists keep their marks, links their addresses."""
    if not html.strip():
        return ""
    text = get_text(html, ParserConfig(display_links=True))
    text = re.sub(r"\[([^\]]+)\]\((?:mailto:)?\1\)", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"\1 (\2)", text)
    lines = [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def is_empty(html: str) -> bool:
    """Say whether nothing would be seen of this HTML."""
    return not re.sub(r"<[^>]+>|&nbsp;|\s", "", html)
