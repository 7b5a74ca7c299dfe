"""A message that is out: pause, go on, try the refused again, correct one address."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.access import member_required
from messaging.access import own_message
from messaging.models import Message
from messaging.services import composing, resending
from messaging.services.resending import CannotResend
from pitch.lib.emails import BadAddress


@member_required
@require_POST
def message_pause(request: HttpRequest, code: str) -> HttpResponse:
    """Hold back what has not gone."""
    if composing.pause(own_message(request, code)):
        messages.success(request, _("The rest waits until you let it go on."))
    return redirect("messaging:message-detail", code)


@member_required
@require_POST
def message_resume(request: HttpRequest, code: str) -> HttpResponse:
    """Let a paused message go on."""
    if composing.resume(own_message(request, code)):
        messages.success(request, _("Sending goes on."))
    return redirect("messaging:message-detail", code)


@member_required
@require_POST
def message_resend(request: HttpRequest, code: str) -> HttpResponse:
    """Try those again, and only those, whose mail was refused."""
    count = resending.resend_refused(own_message(request, code))
    if count:
        messages.success(request, ngettext("%d mail is tried again.", "%d mails are tried again.", count) % count)
    else:
        messages.info(
            request, _("Nothing can be tried again as it is. An address that does not exist must be corrected.")
        )
    return redirect("messaging:message-detail", code)


@member_required
@require_POST
def delivery_readdress(request: HttpRequest, code: str, delivery_code: str) -> HttpResponse:
    """Send one person's mail to another address; the old link leads nowhere any more."""
    delivery = own_message(request, code).deliveries.select_related("message").filter(code=delivery_code).first()
    if delivery is None:
        raise Http404
    try:
        fixed = resending.readdress(delivery, request.POST.get("address", ""))
    except (BadAddress, CannotResend) as err:
        messages.error(request, str(err))
    else:
        words = _("Sent to %(address)s. The old link is closed.")
        if Message.objects.filter(pk=fixed.message_id, paused_at__isnull=False).exists():
            words = _("It goes to %(address)s when you let the message go on. The old link is closed.")
        messages.success(request, words % {"address": fixed.address})
    return redirect("messaging:message-detail", code)
