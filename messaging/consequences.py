"""What deleting a video means for those it was sent to; asked by videos/services/library.py."""

from django.db.models import Count, Q
from django.utils.translation import ngettext

from messaging.models import Delivery, Message
from videos.models import Video


def of_deleting_a_video(video: Video) -> list[str]:
    """Return what happens to others when `video` is deleted, one sentence each; none if it was never sent or used."""
    arrived = Q(accepted_at__isnull=False)
    waiting = Q(state__in=Delivery.OPEN, accepted_at__isnull=True)
    sent = Delivery.objects.filter(message__video=video, message__is_test=False)
    people = sent.aggregate(
        got=Count("address_key", filter=arrived, distinct=True),
        waiting=Count("address_key", filter=waiting, distinct=True),
    )
    drafts = Message.objects.filter(video=video, status=Message.Status.DRAFT).count()
    sentences = (
        (
            people["got"],
            ngettext(
                "%(count)d person who got this video will no longer be able to watch it.",
                "%(count)d people who got this video will no longer be able to watch it.",
                people["got"],
            ),
        ),
        (
            people["waiting"],
            ngettext(
                "%(count)d person it is on its way to will get a mail without a video.",
                "%(count)d people it is on its way to will get a mail without a video.",
                people["waiting"],
            ),
        ),
        (
            drafts,
            ngettext("%(count)d draft will have no video.", "%(count)d drafts will have no video.", drafts),
        ),
    )
    return [words % {"count": count} for count, words in sentences if count]
