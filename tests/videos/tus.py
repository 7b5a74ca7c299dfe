"""A tus client on Django's test client, and what the tests of videos start from."""

import base64
import json

from django.utils import timezone

from videos import storage
from videos.models import Upload, Video

VERSION = {"Tus-Resumable": "1.0.0"}
BODY = "application/offset+octet-stream"


def encode(**fields):
    """Return Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items())


def create(client, length=None, headers=None, **metadata):
    size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    return client.post(
        "/uploads/", headers={**VERSION, **size, "Upload-Metadata": encode(**metadata), **(headers or {})}
    )


def patch(client, address, offset, body, headers=None, content_type=BODY):
    headers = {**VERSION, "Upload-Offset": str(offset), **(headers or {})}
    return client.patch(address, body, content_type=content_type, headers=headers)


def head(client, address):
    return client.head(address, headers=VERSION)


def drop(client, address):
    return client.delete(address, headers=VERSION)


def finish(client, address, length):
    return client.post(f"{address}/finish", json.dumps({"length": length}), content_type="application/json")


def row(address):
    """Return the upload behind an address."""
    return Upload.objects.select_related("video__organization").get(code=address.rsplit("/", 1)[-1])


def upload_file(client, path, **metadata):
    """Upload a whole file and return its video, not converted yet."""
    data = path.read_bytes()
    address = create(client, len(data), filename=path.name, **metadata)["Location"]
    assert patch(client, address, 0, data).status_code == 204
    return row(address).video


def files_left():
    """Return every file below the media folder."""
    return [path for path in storage.root().rglob("*") if path.is_file()]


def make_ready(owner, film=b"0123456789" * 100, **fields):
    """Make a ready video with files of known bytes."""
    video = Video(organization=owner.organization, owner=owner)
    video.code = Video._meta.get_field("code").get_default()
    home = storage.folder_of(video)
    home.mkdir(parents=True)
    for name, data in ((storage.RENDITION, film), (storage.POSTER, b"poster"), (storage.THUMBNAIL, b"thumbnail")):
        (home / name).write_bytes(data)
    given = {
        "title": "Two answers",
        "state": Video.State.READY,
        "duration_ms": 42_000,
        "width": 1280,
        "height": 720,
        "size_bytes": len(film),
        "video_path": storage.relative(home / storage.RENDITION),
        "poster_path": storage.relative(home / storage.POSTER),
        "thumbnail_path": storage.relative(home / storage.THUMBNAIL),
        "ready_at": timezone.now(),
    } | fields
    for name, value in given.items():
        setattr(video, name, value)
    video.save()
    return video
