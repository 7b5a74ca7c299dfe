"""Tasks: what a request leaves to the worker."""

from accounts.services import password_resets


def mail_password_resets(*user_ids: int) -> int:
    """Mail these users the links with which they choose a new password."""
    return password_resets.mail(user_ids)
