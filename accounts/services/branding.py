"""The organization's colour, computed for mails: the formulas of static/css/tokens.css in Python, once, as hex.

A mail cannot derive colours, so the palette is made here. A dark or middling brand is held at or below L 0.505 and gets white
text; a light one keeps its light fill and gets dark text. The gap between is never used, so text on the fill has 4.5:1 or more.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

DEFAULT = "#0e6377"


@dataclass(frozen=True)
class Palette:
    """Hex colours for one brand: the fill of buttons, the text on it, and text and edges on white."""

    accent: str
    on_accent: str
    accent_text: str
    accent_edge: str


def _to_linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _to_gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def to_oklch(color: str) -> tuple[float, float, float]:
    """Return lightness (0–1), chroma and hue (radians) of `#rrggbb` (CSS Color 4, OKLab)."""
    r, g, b = (_to_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lightness = 0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short
    b_axis = 0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short
    return lightness, math.hypot(a, b_axis), math.atan2(b_axis, a)


def _channels(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b_axis = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b_axis) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b_axis) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b_axis) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def to_hex(lightness: float, chroma: float, hue: float) -> str:
    """Return `#rrggbb`; chroma is reduced until the colour fits into sRGB, lightness and hue stay."""
    low, high = 0.0, chroma
    if not all(-1e-4 <= c <= 1.0001 for c in _channels(lightness, chroma, hue)):
        for _step in range(24):
            half = (low + high) / 2
            if all(-1e-4 <= c <= 1.0001 for c in _channels(lightness, half, hue)):
                low = half
            else:
                high = half
        chroma = low
    values = [round(255 * _to_gamma(min(1.0, max(0.0, c)))) for c in _channels(lightness, chroma, hue)]
    return "#" + "".join(f"{value:02x}" for value in values)


@lru_cache(maxsize=512)
def palette(color: str) -> Palette:
    """Return the palette of a brand colour `#rrggbb`."""
    lightness, chroma, hue = to_oklch(color)
    fill = max(lightness, 0.74) if lightness > 0.66 else min(max(0.30, lightness), 0.505)
    return Palette(
        accent=to_hex(fill, min(chroma, 0.19), hue),
        on_accent="#ffffff" if fill < 0.6 else to_hex(0.17, 0, 0),
        accent_text=to_hex(min(max(0.28, lightness), 0.455), min(chroma, 0.17), hue),
        accent_edge=to_hex(min(max(0.28, lightness), 0.53), min(chroma, 0.19), hue),
    )


def contrast(one: str, other: str) -> float:
    """Return the WCAG 2 contrast of two colours, 1 to 21."""

    def luminance(color: str) -> float:
        r, g, b = (_to_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)
