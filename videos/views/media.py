"""Serving files with byte ranges (RFC 9110 §14): Safari does not play and Chromium cannot seek without them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import http_date, parse_http_date_safe
from django.views.decorators.http import require_safe

from videos.services import media

SLICE = 256 * 1024
# An open-ended range is answered in parts, so that a slow viewer does not hold a thread for a whole film.
OPEN_RANGE = 4 * 1024 * 1024
_RANGE = re.compile(r"^bytes=([0-9]*)-([0-9]*)$")


class BoundedReader:
    """Reads at most `length` bytes of a file, in slices; closes the file at the end."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self.file = file
        self.left = length

    def __iter__(self) -> Iterator[bytes]:
        while self.left > 0:
            data = self.file.read(min(SLICE, self.left))
            if not data:
                return
            self.left -= len(data)
            yield data

    def close(self) -> None:
        """Close the file; the response calls this when it is closed."""
        self.file.close()


def _number(digits: str) -> int:
    """Return a position; the digits beyond any file's size are cut, since Python refuses to read thousands of them."""
    return int(digits.lstrip("0")[:19] or 0)


def parse_range(header: str, size: int) -> tuple[int, int] | str | None:
    """Return (first, last) for one byte range, None to answer with the whole file, or "unsatisfiable".

    Several ranges at once, other units and nonsense are ignored, as RFC 9110 §14.2 allows.
    """
    match = _RANGE.match(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        suffix = _number(match[2])
        return (max(0, size - suffix), size - 1) if suffix and size else "unsatisfiable"
    first = _number(match[1])
    if first >= size:
        return "unsatisfiable"
    if not match[2]:
        return first, min(size - 1, first + OPEN_RANGE - 1)
    last = _number(match[2])
    return None if last < first else (first, min(last, size - 1))


def range_applies(request: HttpRequest, etag: str, modified: float) -> bool:
    """Say whether If-Range (if given) still fits the file (RFC 9110 §13.1.5)."""
    condition = request.headers.get("If-Range")
    if not condition:
        return True
    if condition.startswith('"'):
        return condition == etag
    date = parse_http_date_safe(condition)
    return date is not None and int(modified) <= date


def file_response(request: HttpRequest, path: Path, content_type: str, etag: str) -> HttpResponseBase:
    """Answer with a file: 200, 206, 304 or 416; HEAD gets the headers alone."""
    stat = path.stat()
    headers = {"ETag": etag, "Last-Modified": http_date(stat.st_mtime), "Accept-Ranges": "bytes"}
    if etag in [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]:
        return HttpResponse(status=304, headers=headers)
    # Ranges are defined for GET alone (RFC 9110 §14.2).
    asked = request.headers.get("Range") if request.method == "GET" else None
    wanted = parse_range(asked, stat.st_size) if asked else None
    if wanted is not None and not range_applies(request, etag, stat.st_mtime):
        wanted = None
    if isinstance(wanted, str):
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{stat.st_size}"})
    first, last = wanted or (0, stat.st_size - 1)
    length = last - first + 1
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{last}/{stat.st_size}"
    headers["Content-Length"] = str(length)
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=content_type)
    file = path.open("rb")
    file.seek(first)
    reader = BoundedReader(file, length)
    return StreamingHttpResponse(reader, status=status, headers=headers, content_type=content_type)


@require_safe
def media_file(request: HttpRequest, code: str, kind: str, expires: int, mac: str, name: str) -> HttpResponseBase:
    """Serve a video's file by its signed address; anything else is 404, also a range of something deleted (A42)."""
    found = media.find(code, kind, expires, mac)
    if found is None:
        raise Http404
    if settings.MEDIA_ACCEL_PREFIX:
        response: HttpResponseBase = HttpResponse(content_type=found.content_type)
        response["X-Accel-Redirect"] = f"{settings.MEDIA_ACCEL_PREFIX.rstrip('/')}/{found.stored_path}"
        response["ETag"] = found.etag
    else:
        response = file_response(request, found.path, found.content_type, found.etag)
    response["Content-Disposition"] = f'inline; filename="{media.KINDS[kind][2]}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    # `private`: what one visitor may see must not sit in a shared cache; deletion must be felt within minutes.
    response["Cache-Control"] = "private, max-age=300" if kind != "video" else "private, no-cache"
    response["X-Robots-Tag"] = "noindex"
    return response
