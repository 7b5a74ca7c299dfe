"""A forgotten password: one link for each account with the address, mailed by the worker.

The request only writes down the address and wakes the worker, without a look at who has an account: so neither its answer nor
the time it takes can tell.
"""

from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.models import PasswordResetRequest, User
from accounts.services.hosts import base_url
from pitch.lib.emails import BadAddress, address_key
from pitch.lib.queue import wake

TASK = "accounts.tasks.mail_password_resets"
LOST_AFTER = timedelta(seconds=30)


def ask(email: str) -> None:
    """Have the worker mail a link to each account with the address `email`; what is no address is passed over."""
    try:
        key = address_key(email)
    except BadAddress:
        return
    with transaction.atomic():
        PasswordResetRequest.objects.create(email_key=key)
        wake(TASK)


def recover() -> bool:
    """Wake the worker again for requests it has not taken up (called by the clock); returns whether there are any."""
    lost = PasswordResetRequest.objects.filter(created_at__lt=timezone.now() - LOST_AFTER).exists()
    if lost:
        wake(TASK)
    return lost


def users_of(email_key: str) -> QuerySet[User]:
    """Return those who may choose a new password: active users of active organizations, and operators."""
    users: QuerySet[User] = User.objects.filter(email_key=email_key, is_active=True)
    return users.exclude(organization__is_active=False).select_related("organization").order_by("pk")


def link(user: User) -> str:
    """Return the absolute link with which `user` chooses a new password, once; only our own settings name its host (A37)."""
    parts = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return base_url(user.organization) + reverse("account_reset_password_from_key", kwargs=parts)


def mail() -> int:
    """Mail the links of all requests, to the addresses of the accounts; returns how many there were.

    A request is deleted first: of two workers one mails, and a mail that cannot be sent is logged and not tried for ever.
    """
    count = 0
    for request in PasswordResetRequest.objects.all():
        taken, _kinds = PasswordResetRequest.objects.filter(pk=request.pk).delete()
        for user in users_of(request.email_key) if taken else ():
            get_adapter().send_password_reset_mail(user, user.email, {"user": user, "password_reset_url": link(user)})
            count += 1
    return count
