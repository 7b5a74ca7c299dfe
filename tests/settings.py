"""The settings the tests run with: demo mode, throw-away keys and folders, quick passwords."""

import os
import tempfile

_folder = tempfile.mkdtemp(prefix="pitch-tests-")
os.environ.update(
    PITCH_MODE="demo",
    PITCH_DATA=_folder,
    PITCH_BASE_URL="http://pitch.test",
    PITCH_ALLOWED_HOSTS="testserver,.pitch.test,localhost",
)

os.makedirs(os.path.join(_folder, "static"))

from pitch.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# Django's live server would serve any file of MEDIA_ROOT whose path fits an address of ours; nothing else does.
MEDIA_URL = "/never-served-by-path/"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, as in life: an in-memory database has one connection for all threads, or locks that do not wait.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_folder, "test.sqlite3")}  # noqa: F405
