"""The own profile."""

from django.core.files.base import ContentFile

from accounts.models import User
from pitch.lib.fields import new_code


def save(
    user: User, *, name: str, title: str, phone: str, photo: bytes | None = None, remove_photo: bool = False
) -> User:
    """Save what a person says about herself; `photo` is PNG from pictures.reencode, None keeps the old one."""
    user.name, user.title, user.phone = name, title, phone
    old = user.photo.name
    if photo is not None:
        user.photo.save(f"{new_code()}.png", ContentFile(photo), save=False)
    elif remove_photo:
        user.photo = ""
    user.save(update_fields=["name", "title", "phone", "photo", "updated_at"])
    if old and user.photo.name != old:
        user.photo.storage.delete(old)
    return user
