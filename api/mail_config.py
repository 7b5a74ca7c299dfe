"""Source 4: an organization's SMTP settings, replaced by a program. Two addresses, one behaviour (R427, R428).

docs/smtp-settings-api.md tells it to those who call. The answers for 200, 400 and 401 are the source's own words; what the
source leaves open is answered in its form, with a sentence.
"""

import json
import re
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from django.db import OperationalError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from accounts.ks import KSError, Session
from accounts.middleware import OrganizationMiddleware
from accounts.models import Organization
from api import auth
from messaging.models import EmailProvider
from messaging.services import providers
from pitch.lib.emails import BadAddress, normalize

SUB_SYSTEM = 8  # "mail" (R445)
MAX_BODY = 16_384  # eleven short fields
SAVED = "Successfully updated SMTP Details"
MANDATORY = "Host and From is mandatory to update Email Configuration."
UNAUTHORIZED = "HTTP 401 Unauthorized"
# The source's own spelling (R449), and one whose name depends on Python's version.
WORDS = {HTTPStatus.UNAUTHORIZED: "Unauthorized", HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PAYLOAD_TOO_LARGE"}

TEXTS = {
    "host": "host",
    "user": "user",
    "password": "password",
    "fromDisplayName": "from_name",
    "replyToDisplayName": "reply_to_name",
}
ADDRESSES = {"from": "from_address", "replyTo": "reply_to_address", "envelopeFrom": "envelope_from"}
NAMES = {"port": "port", "starttls/ssl": "security"} | TEXTS | ADDRESSES  # what a refused column is called here
FIELDS = {"port", "starttls", "ssl", *TEXTS, *ADDRESSES}
# Control characters, and the halves of characters that JSON can spell and UTF-8 cannot hold.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Refusal(Exception):
    """The call is not carried out; `code` and the sentence are the answer."""

    def __init__(self, code: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@csrf_exempt
@never_cache
def config(request: HttpRequest) -> JsonResponse:
    """Set the SMTP settings of the organization whose host this is (source 4, "SSMS")."""
    return _answer(request, tenant=None)


@csrf_exempt
@never_cache
def setup(request: HttpRequest, tenant: str) -> JsonResponse:
    """Set the SMTP settings of `tenant`, a short name or a partner id (source 4, "SHIFT")."""
    return _answer(request, tenant)


@sensitive_variables()
def _answer(request: HttpRequest, tenant: str | None) -> JsonResponse:
    try:
        _check_transport(request)
        organization, session = _authorize(request, tenant)
        providers.save_smtp(organization, session=session, **read_settings(_read_body(request)))
    except Refusal as err:
        return _say(err.code, str(err))
    except ValidationError as err:
        return _say(HTTPStatus.BAD_REQUEST, _sentences(err))
    except OperationalError:
        # A database that is restarted or locked: the same call again does no harm (R338).
        return _say(HTTPStatus.SERVICE_UNAVAILABLE, _("Nothing was changed; make the same call again in a moment."))
    return _say(HTTPStatus.OK, SAVED)


def _say(code: HTTPStatus, message: str) -> JsonResponse:
    """Return an answer in the source's form (R443 to R445)."""
    headers = {
        HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
        HTTPStatus.METHOD_NOT_ALLOWED: {"Allow": "POST"},
        HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    }.get(code)
    return JsonResponse(
        {"message": message, "status": WORDS.get(code, code.name), "subSystem": SUB_SYSTEM},
        status=code,
        headers=headers,
    )


def _check_transport(request: HttpRequest) -> None:
    """Refuse plain http (R429) and whatever is not a POST. Only the demo may be called without TLS."""
    if not request.is_secure() and not settings.DEMO:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            _("Call this address over https. Nothing was changed, but this session was readable on its way: end it."),
        )
    if request.method != "POST":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, _("Use POST."))


@sensitive_variables()
def _authorize(request: HttpRequest, tenant: str | None) -> tuple[Organization, Session]:
    """Return who calls. The session names the organization; host and path may only agree with it.

    A path that names nobody, a host or path of another organization, and a session that is not good look the same from
    outside. (A host below the base domain that names nobody has no pages at all: the middleware answers 404.)
    """
    try:
        organization, session = auth.read_session(request)
    except KSError as err:
        raise Refusal(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED) from err
    named = OrganizationMiddleware.by_host(request)
    if named not in (None, organization) or tenant not in (None, organization.slug, str(organization.partner_id)):
        raise Refusal(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED)
    if not session.is_admin:
        raise Refusal(HTTPStatus.FORBIDDEN, _("This call needs an ADMIN session (type 2); this is a USER session."))
    return organization, session


@sensitive_variables()
def _read_body(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object of the call, each field once."""
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    if request.content_type != "application/json" or charset.lower() not in {"utf-8", "utf8"}:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _("Send JSON in UTF-8, with Content-Type: application/json."))
    try:
        raw = request.body
    except RequestDataTooBig as err:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _("The request is longer than settings can be.")) from err
    if len(raw) > MAX_BODY:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _("The request is longer than settings can be."))
    try:
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=_object_once)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, _("The request must be one JSON object."))
    return body


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of the pairs; of a field given twice nobody can say which one is meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refusal(HTTPStatus.BAD_REQUEST, _("A field is given twice."))
    return found


@sensitive_variables()
def read_settings(body: dict[str, Any]) -> dict[str, Any]:
    """Return EmailProvider's columns from the source's eleven fields. null and "" mean not given.

    Raises Refusal with the source's sentence if host or from is missing, else with one that names the field.
    """
    if any(body.get(name) is None or not str(body[name]).strip() for name in ("host", "from")):
        raise Refusal(HTTPStatus.BAD_REQUEST, MANDATORY)
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            _("There is no field %(name)s; these are: %(known)s.")
            % {"name": f"“{UNFIT.sub(' ', unknown[0])[:40]}”", "known": ", ".join(sorted(FIELDS))},
        )
    values: dict[str, Any] = {column: _text(body, name) for name, column in TEXTS.items()}
    values |= {column: _address(body, name) for name, column in ADDRESSES.items()}
    values["security"] = _security(body)
    values["port"] = _port(body) or (465 if values["security"] == EmailProvider.Security.SSL else 587)
    if values["password"] and not values["user"]:
        raise Refusal(HTTPStatus.BAD_REQUEST, _("user: a password is given, but no user name it belongs to."))
    return values


@sensitive_variables()
def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(HTTPStatus.BAD_REQUEST, _("%(name)s: must be a string.") % {"name": name})
    if UNFIT.search(value):
        raise Refusal(HTTPStatus.BAD_REQUEST, _("%(name)s: holds a control character.") % {"name": name})
    return value if name == "password" else value.strip()


def _address(body: dict[str, Any], name: str) -> str:
    text = _text(body, name)
    try:
        return normalize(text) if text else ""
    except BadAddress as err:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: {err}") from err


def _flag(body: dict[str, Any], name: str) -> bool | None:
    """Return a boolean, or None if it is not given. The source's sample writes booleans as strings (R432, R439)."""
    value = body.get(name)
    known = {"true": True, "false": False, "": None}
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str) or value not in known:
        raise Refusal(HTTPStatus.BAD_REQUEST, _("%(name)s: must be true or false.") % {"name": name})
    return known[value]


def _security(body: dict[str, Any]) -> str:
    """Return how the connection is protected: whoever names nothing, or only says no to the other, gets STARTTLS."""
    ssl, starttls = _flag(body, "ssl"), _flag(body, "starttls")
    if ssl and starttls:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            _("ssl and starttls cannot both be true: ssl is TLS from the first byte, starttls begins in the clear."),
        )
    if ssl:
        return EmailProvider.Security.SSL
    return EmailProvider.Security.NONE if starttls is False else EmailProvider.Security.STARTTLS


def _port(body: dict[str, Any]) -> int | None:
    """Return the port from a number or a string of digits (R433), or None if it is not given."""
    value = body.get("port")
    if value is None or value == "":
        return None
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise Refusal(HTTPStatus.BAD_REQUEST, _("port: must be a number from 1 to 65535."))
    return int(text)


def _sentences(err: ValidationError) -> str:
    """Return what the service refused, with the fields' names as they are here."""
    names = {column: name for name, column in NAMES.items()}
    found = err.message_dict if hasattr(err, "error_dict") else {NON_FIELD_ERRORS: err.messages}
    return " ".join(
        message if column == NON_FIELD_ERRORS else f"{names.get(column, column)}: {message}"
        for column, messages in found.items()
        for message in messages
    )
