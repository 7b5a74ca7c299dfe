"""The mail's picture: a still with a play mark and the length drawn in, 1200 × 675, opaque (product.md c6).

The mark stands low at the start side, so that it does not cover a face.
"""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 1200, 675
DARK = (22, 28, 36)
MAX_BYTES = 120_000
POSTER_BYTES = 80_000


def length_text(duration_ms: int) -> str:
    """Return a length as "0:42" or "12:05"; never "0:00" for something that lasts."""
    seconds = max(1, round(duration_ms / 1000))
    return f"{seconds // 60}:{seconds % 60:02}"


def fill_frame(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return `picture` inside a frame of the given size; what it does not fill is a dark blur of itself."""
    picture = picture.convert("RGB")
    ratio = picture.width / picture.height
    if abs(ratio - width / height) < 0.02:
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    backdrop = picture.resize((width, height)).filter(ImageFilter.GaussianBlur(40))
    frame = Image.blend(backdrop, Image.new("RGB", (width, height), DARK), 0.6)
    scale = min(width / picture.width, height / picture.height)
    inner = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    frame.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return frame


def draw_play(frame: Image.Image, text: str) -> None:
    """Draw the play mark with the length into the lower start corner of a 1200 × 675 frame."""
    # Drawn three times as large and scaled down: Pillow's shapes have hard edges.
    factor, pad = 3, 36
    font = ImageFont.load_default(size=44 * factor)
    left, top, right, bottom = font.getbbox(text)
    width, height = (right - left) + 178 * factor, 104 * factor
    mark = Image.new("RGBA", (int(width), height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(mark)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=height // 2, fill=(*DARK, 235))
    middle = height // 2
    triangle = [(46 * factor, middle - 30 * factor), (46 * factor, middle + 30 * factor), (98 * factor, middle)]
    draw.polygon(triangle, fill="white")
    draw.text((124 * factor - left, middle - (top + bottom) / 2), text, font=font, fill="white")
    mark = mark.resize((mark.width // factor, mark.height // factor), Image.Resampling.LANCZOS)
    frame.paste(mark, (pad, frame.height - mark.height - pad), mark)


def save_within(picture: Image.Image, path: Path, limit: int) -> None:
    """Save as JPEG of at most `limit` bytes: quality goes down first, then size."""
    while True:
        for quality in (86, 78, 70, 60, 50, 40):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
            if buffer.tell() <= limit:
                path.write_bytes(buffer.getvalue())
                return
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)


def make_poster(still: Path, target: Path) -> None:
    """Write the landing page's poster (≤ 80 kB) from a still."""
    with Image.open(still) as picture:
        save_within(picture.convert("RGB"), target, POSTER_BYTES)


def make_thumbnail(still: Path, target: Path, duration_ms: int) -> None:
    """Write the mail's picture (1200 × 675, ≤ 120 kB) from a still."""
    with Image.open(still) as picture:
        frame = fill_frame(picture, WIDTH, HEIGHT)
    draw_play(frame, length_text(duration_ms))
    save_within(frame, target, MAX_BYTES)
