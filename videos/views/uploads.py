"""tus 1.0.0 (core, creation, creation-defer-length, expiration, termination) at /uploads/ and /uploads/<code>."""

import base64
import binascii
import json
from collections.abc import Callable
from functools import wraps
from typing import IO, Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _

from accounts.access import member
from accounts.models import User
from videos.models import Upload
from videos.services import uploads
from videos.services.uploads import Piece, UploadRefused

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-defer-length,expiration,termination"
View = Callable[..., HttpResponseBase]


def answer(status: int, text: str = "", **headers: str) -> HttpResponse:
    """Return an answer with the protocol's version; `headers` have underscores for hyphens."""
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return response


def refusal(err: UploadRefused, upload: Upload | None = None) -> HttpResponse:
    """Return the answer for a refused request, with the true offset where that helps."""
    response = answer(err.status, str(err))
    if upload is not None and err.status == 409:
        upload.refresh_from_db(fields=["offset"])
        response["Upload-Offset"] = str(upload.offset)
    return response


def tus(*methods: str) -> Callable[[View], View]:
    """Let only these methods through, check the version, and put it on every answer."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            method = request.method or ""
            if method == "POST" and request.headers.get("X-HTTP-Method-Override", "") in methods:
                method = request.headers["X-HTTP-Method-Override"]  # for proxies that know no PATCH
            response: HttpResponseBase
            if method == "OPTIONS":
                response = answer(
                    204, Tus_Version=VERSION, Tus_Extension=EXTENSIONS, Tus_Max_Size=str(settings.VIDEO_MAX_BYTES)
                )
            elif not request.user.is_authenticated:
                response = answer(401, _("You are signed out. Sign in again; what was uploaded is kept."))
            elif method not in methods:
                response = answer(405, Allow=", ".join([*methods, "OPTIONS"]))
            elif request.headers.get("Tus-Resumable") != VERSION:
                response = answer(412, f"Send Tus-Resumable: {VERSION}.", Tus_Version=VERSION)
            else:
                request.method = method
                response = view(request, *args, **kwargs)
            response["Tus-Resumable"] = VERSION
            response["Cache-Control"] = "no-store"
            return response

        return wrapped

    return decorate


def parse_number(text: str | None) -> int | None:
    """Return a header as a number of bytes; None if it is absent. Raises UploadRefused (400) for anything else."""
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise UploadRefused(400, _("A length or offset must be a whole number."))
    return int(text)


def parse_metadata(header: str) -> dict[str, str]:
    """Return Upload-Metadata as a dictionary; values that are not base64 of UTF-8 are left out."""
    found = {}
    for pair in header.split(","):
        key, _space, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


def own_upload(user: User, code: str) -> Upload | None:
    """Return an upload of this user in this user's organization."""
    rows = Upload.objects.for_organization(user.organization).select_related("video")
    return rows.filter(owner=user, code=code, video__deleted_at__isnull=True).first()


@tus("POST")
def upload_create(request: HttpRequest) -> HttpResponse:
    """Make an upload: 201 with its address in Location and the video's code in X-Video."""
    try:
        length = parse_number(request.headers.get("Upload-Length"))
        if length is None and request.headers.get("Upload-Defer-Length") != "1":
            raise UploadRefused(400, _("Send Upload-Length, or Upload-Defer-Length: 1."))
        metadata = parse_metadata(request.headers.get("Upload-Metadata", ""))
        upload = uploads.create(
            member(request),
            length=length,
            source=metadata.get("source", ""),
            title=metadata.get("title", ""),
            file_name=metadata.get("filename", ""),
            mime_type=metadata.get("filetype", ""),
        )
    except UploadRefused as err:
        return refusal(err)
    response = answer(201, Location=reverse("videos:upload-resource", args=[upload.code]), Upload_Offset="0")
    response["X-Video"] = upload.video.code
    response["Upload-Expires"] = http_date(upload.expires_at.timestamp())
    return response


@tus("HEAD", "PATCH", "DELETE")
def upload_resource(request: HttpRequest, code: str) -> HttpResponse:
    """Tell the offset (HEAD), take the next piece (PATCH), or drop the upload (DELETE)."""
    upload = own_upload(member(request), code)
    if upload is None:
        return answer(404, _("There is no such upload."))
    try:
        if request.method == "DELETE":
            uploads.terminate(upload)
            return answer(204)
        if request.method == "PATCH":
            return receive(request, upload)
    except UploadRefused as err:
        return refusal(err, upload)
    response = answer(200, Upload_Offset=str(upload.offset))
    response["Upload-Expires"] = http_date(upload.expires_at.timestamp())
    if upload.length is None:
        response["Upload-Defer-Length"] = "1"
    else:
        response["Upload-Length"] = str(upload.length)
    return response


def receive(request: HttpRequest, upload: Upload) -> HttpResponse:
    """Append the body of a PATCH; raises UploadRefused."""
    if request.content_type != "application/offset+octet-stream":
        raise UploadRefused(415, _("Send Content-Type: application/offset+octet-stream."))
    offset = parse_number(request.headers.get("Upload-Offset"))
    if offset is None:
        raise UploadRefused(400, _("Send Upload-Offset."))
    total = parse_number(request.headers.get("Upload-Length"))
    piece = Piece(offset, parse_number(request.headers.get("Content-Length")), cast("IO[bytes]", request))
    upload = uploads.append(upload, piece)
    if total is not None and upload.length is None and upload.offset == total:
        upload = uploads.finish(upload, total)
    response = answer(204, Upload_Offset=str(upload.offset))
    response["Upload-Expires"] = http_date(upload.expires_at.timestamp())
    return response


def upload_finish(request: HttpRequest, code: str) -> HttpResponse:
    """Close a recording whose length is now known: POST JSON {"length": bytes} → {"video": code, "state": …}."""
    if request.method != "POST":
        return answer(405, Allow="POST")
    if not request.user.is_authenticated:
        return answer(401, _("You are signed out. Sign in again; what was uploaded is kept."))
    upload = own_upload(member(request), code)
    if upload is None:
        return answer(404, _("There is no such upload."))
    try:
        length = json.loads(request.body)["length"]
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise TypeError
    except (ValueError, TypeError, KeyError):
        return answer(400, _('Send JSON like {"length": 12345}.'))
    try:
        upload = uploads.finish(upload, length)
    except UploadRefused as err:
        return refusal(err, upload)
    upload.video.refresh_from_db()
    return JsonResponse({"video": upload.video.code, "state": upload.video.state})
