"""System checks: what must hold before production starts (design.md §2, mode)."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, register


@register(Tags.security, deploy=True)
def production_has_no_demo_conveniences(app_configs: Any, **kwargs: Any) -> list[Error]:
    """pitch.E001–E003: nothing of the demo may be on in production."""
    errors = []
    if settings.DEMO:
        errors.append(Error("PITCH_MODE is demo.", hint="Set PITCH_MODE=production.", id="pitch.E001"))
    if not settings.PITCH_BASE_URL.startswith("https://"):
        errors.append(Error("PITCH_BASE_URL is not https.", hint="Cameras need a secure page.", id="pitch.E002"))
    if settings.DEBUG:
        errors.append(Error("DEBUG is on.", id="pitch.E003"))
    return errors
