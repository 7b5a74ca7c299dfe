"""Reaching a message: the sender's own, in the own organization; for everybody else it does not exist."""

from django.http import Http404, HttpRequest

from accounts.access import member
from messaging.models import Delivery, Message


def own_message(request: HttpRequest, code: str) -> Message:
    """Return one of the signed-in user's own messages; 404 for a colleague's or a stranger's."""
    rows = Message.objects.of_sender(member(request)).select_related("organization", "sender", "video")
    message = rows.filter(code=code, kind=Message.Kind.PITCH).first()
    if message is None:
        raise Http404
    return message


def own_draft(request: HttpRequest, code: str) -> Message:
    """Return one of the user's drafts; 404 for anything that was sent."""
    message = own_message(request, code)
    if message.status != Message.Status.DRAFT:
        raise Http404
    return message


def own_test(request: HttpRequest, code: str) -> Delivery:
    """Return a test mail the signed-in user sent to themselves; 404 for any other mail."""
    user = member(request)
    rows = Delivery.objects.for_organization(user.organization).select_related("provider")
    delivery = rows.filter(code=code, message__sender=user, message__is_test=True).first()
    if delivery is None:
        raise Http404
    return delivery
