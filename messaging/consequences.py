"""What deleting a video means for those it was sent to; asked by videos/services/library.py."""

from django.db.models import Count, Q
from django.utils.translation import ngettext

from messaging.models import Delivery, Message
from videos.models import Video
from videos.services.library import Consequence


def of_deleting_a_video(video: Video) -> list[Consequence]:
    """Return what happens when `video` is deleted, to others first; nothing if it was never sent or used."""
    states = Delivery.State
    arrived = Q(accepted_at__isnull=False)
    doubtful = Q(state=states.IN_DOUBT, accepted_at__isnull=True)
    waiting = Q(state__in=Delivery.OPEN, accepted_at__isnull=True)
    by_hand = Q(state=states.SKIPPED, error_enum="")  # composing.make_links: the sender mails the link
    sent = Delivery.objects.filter(message__video=video, message__is_test=False)
    people = sent.aggregate(
        got=Count("address_key", filter=arrived, distinct=True),
        may_have=Count("address_key", filter=doubtful, distinct=True),
        waiting=Count("address_key", filter=waiting, distinct=True),
        by_hand=Count("address_key", filter=by_hand, distinct=True),
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
            people["may_have"],
            ngettext(
                "%(count)d person who may have got this video will not be able to watch it.",
                "%(count)d people who may have got this video will not be able to watch it.",
                people["may_have"],
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
            people["by_hand"],
            ngettext(
                "%(count)d person you made a personal link for will no longer be able to watch it.",
                "%(count)d people you made personal links for will no longer be able to watch it.",
                people["by_hand"],
            ),
        ),
    )
    found = [Consequence(words % {"count": count}, concerns_others=True) for count, words in sentences if count]
    if drafts:
        words = ngettext("%(count)d draft will have no video.", "%(count)d drafts will have no video.", drafts)
        found.append(Consequence(words % {"count": drafts}, concerns_others=False))
    return found
