"""Tasks: wake-ups without data."""

from accounts.services import password_resets


def mail_password_resets() -> int:
    """Mail the links with which people choose a new password."""
    return password_resets.mail()
