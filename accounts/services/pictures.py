"""Pictures people upload: decoded under limits, re-encoded, stripped of everything but pixels (abuse cases A22, A23)."""

import io
import warnings
from typing import IO

from django.utils.translation import gettext as _
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 10_000_000
MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG", "WEBP")


class BadPicture(ValueError):
    """An upload that is no picture we take; the message says why."""


def reencode(file: IO[bytes], *, side: int) -> bytes:
    """Return the picture as PNG of at most `side` × `side` pixels, turned upright, without metadata.

    `file` is an upload of any kind. Raises BadPicture for anything but PNG, JPEG or WebP within 10 MB and 40 megapixels.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadPicture(_("This picture is larger than 10 MB. Choose a smaller one."))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise BadPicture(_("This picture has more than 40 megapixels. Choose a smaller one."))
                picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as err:
        if isinstance(err, BadPicture):
            raise
        raise BadPicture(_("This file is not a PNG, JPEG or WebP picture that can be read.")) from err
    except Image.DecompressionBombError as err:
        raise BadPicture(_("This picture has more than 40 megapixels. Choose a smaller one.")) from err
    picture.thumbnail((side, side))
    clean = Image.new("RGBA", picture.size)
    clean.paste(picture)
    buffer = io.BytesIO()
    clean.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
