"""The words that pages hand to their scripts, in a language that needs quotes."""

import json
import re
import struct

import pytest
from django.utils import translation

WORDS = {
    "We hear you": 'Wir hören "Sie"</script>\\',
    "The upload was canceled.": 'Das "Hochladen" wurde abgebrochen.',
}


def write_catalog(path, words):
    """Write a compiled catalog (the .mo format of GNU gettext)."""
    words = {"": "Content-Type: text/plain; charset=UTF-8\n", **words}
    keys = sorted(words)
    texts = [key.encode() for key in keys] + [words[key].encode() for key in keys]
    count = len(keys)
    at = 28 + 16 * count
    table = b""
    for text in texts:
        table += struct.pack("<II", len(text), at)
        at += len(text) + 1
    path.parent.mkdir(parents=True)
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, at)
    path.write_bytes(head + table + b"".join(text + b"\0" for text in texts))


@pytest.mark.parametrize(
    ("url", "element", "key", "source"),
    [
        ("/record/", "recorder-words", "hear", "We hear you"),
        ("/", "upload-words", "canceled", "The upload was canceled."),
    ],
)
def test_a_translation_with_quotes_reaches_the_script_whole(
    alice_client, settings, tmp_path, url, element, key, source
):
    write_catalog(tmp_path / "locale/en/LC_MESSAGES/django.mo", WORDS)
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    translation.activate("en")
    html = alice_client.get(url).content.decode()
    found = re.search(rf'<script[^>]*id="{element}"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert json.loads(found.group(1))[key] == WORDS[source]
