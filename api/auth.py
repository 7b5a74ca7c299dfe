"""Who calls: the bearer of an API call is a Kaltura session (KS), and nothing else authorizes (no cookie, no query)."""

from django.http import HttpRequest

from accounts import ks
from accounts.ks import KSError, Reason, Session
from accounts.models import Organization

# Nothing counts calls yet or compares addresses and paths, so a session that is limited this way is not good for any.
LIMITS = {
    "actionslimit": Reason.EXCEEDED_ACTIONS_LIMIT,
    "iprestrict": Reason.EXCEEDED_RESTRICTED_IP,
    "urirestrict": Reason.EXCEEDED_RESTRICTED_URI,
}


def read_session(request: HttpRequest) -> tuple[Organization, Session]:
    """Return the organization and the session of the call's Authorization header (C12).

    Raises KSError if there is none or it is not good for this call.
    """
    organization, session = ks.read(ks.token_of_header(request.headers.get("Authorization", "")))
    for name, reason in LIMITS.items():
        if name in session.privileges:
            raise KSError(reason)
    return organization, session
