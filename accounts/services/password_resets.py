"""A forgotten password: one link for each account with the address, mailed by the worker.

The request only leaves word for the worker, the same for every address, so that neither its answer nor the time it takes tells who
has an account. If that word is lost, the person asks again.
"""

from collections.abc import Iterable

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.db.models import QuerySet
from django.urls import reverse

from accounts.models import User
from accounts.services.hosts import base_url
from pitch.lib.emails import BadAddress, address_key
from pitch.lib.queue import wake


def entitled() -> QuerySet[User]:
    """Return the users who may choose a new password: active ones of active organizations, and operators."""
    users: QuerySet[User] = User.objects.filter(is_active=True).exclude(organization__is_active=False)
    return users.select_related("organization")


def accounts_of(email: str) -> list[User]:
    """Return the entitled users whose address is `email`; none for what is no address."""
    try:
        return list(entitled().filter(email_key=address_key(email)))
    except BadAddress:
        return []


def ask(users: Iterable[User]) -> None:
    """Have the worker mail each of `users` a link; one task, also for nobody."""
    wake("accounts.tasks.mail_password_resets", *[user.pk for user in users])


def link(user: User) -> str:
    """Return the absolute link with which `user` chooses a new password, once; only our own settings name its host (A37)."""
    parts = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return base_url(user.organization) + reverse("account_reset_password_from_key", kwargs=parts)


def mail(user_ids: Iterable[int]) -> int:
    """Mail these users their links, to the addresses of their accounts; returns how many were entitled."""
    users = entitled().filter(pk__in=list(user_ids)).order_by("pk")
    for user in users:
        get_adapter().send_password_reset_mail(user, user.email, {"user": user, "password_reset_url": link(user)})
    return len(users)
