"""Reaching a message: the sender's own, in the own organization; for everybody else it does not exist."""

from django.http import Http404, HttpRequest

from accounts.access import member
from messaging.models import Message


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
