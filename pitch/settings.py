"""Settings: read once from the environment (docs/configuration.md); a bad value stops the start and says which."""

import ipaddress
import re
import sys
import zoneinfo
from email.utils import parseaddr
from pathlib import Path

import dj_database_url
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from pitch.lib import hosts, keys
from pitch.lib.emails import BadAddress, normalize
from pitch.lib.env import BadSetting, Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()


def _stop(err: BadSetting) -> None:
    sys.stderr.write(f"Pitch cannot start: {err}\n")
    raise SystemExit(78) from err  # EX_CONFIG of sysexits.h


try:
    # ---- What this process is -------------------------------------------------------------------------------------
    PITCH_MODE = env.choice("PITCH_MODE", ("demo", "production"), "production")
    DEMO = PITCH_MODE == "demo"
    PITCH_DATA = env.folder("PITCH_DATA", BASE_DIR / "var")
    PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
    MAILBOX_PORT = env.integer("MAILBOX_PORT", 1025, minimum=1, maximum=65535)
    DEBUG = False

    PITCH_BASE_URL = env.url("PITCH_BASE_URL", f"http://127.0.0.1:{PORT}" if DEMO else "")
    if not PITCH_BASE_URL:
        raise BadSetting("PITCH_BASE_URL is not set; write the public address, like https://pitch.example.org.")
    if not DEMO and not PITCH_BASE_URL.startswith("https://"):
        raise BadSetting(
            "PITCH_BASE_URL must begin with https:// in production: browsers give no camera to http pages."
        )
    # As browsers name it: an IPv6 address keeps its brackets, the port goes.
    _host = re.sub(r":\d+$", "", PITCH_BASE_URL.split("://", 1)[1])
    if not hosts.is_host(_host.strip("[]")):
        raise BadSetting(f"PITCH_BASE_URL is “{PITCH_BASE_URL}”; write scheme, host and port only, without a path.")
    # The base domain selects organizations by host name: acme.<base domain>. Empty: one host for everybody.
    PITCH_BASE_DOMAIN = env.host_name("PITCH_BASE_DOMAIN")
    ALLOWED_HOSTS = [_host, *env.items("PITCH_ALLOWED_HOSTS")]
    for _allowed in ALLOWED_HOSTS:
        if _allowed != "*" and not hosts.is_host(_allowed.removeprefix(".").strip("[]")):
            raise BadSetting(f"PITCH_ALLOWED_HOSTS holds “{_allowed}”; write host names without https:// or port.")
    if PITCH_BASE_DOMAIN:
        ALLOWED_HOSTS.append(f".{PITCH_BASE_DOMAIN}")
    if DEMO:
        ALLOWED_HOSTS += ["127.0.0.1", "localhost", "[::1]"]

    # ---- Keys -----------------------------------------------------------------------------------------------------
    try:
        PITCH_DATA.mkdir(parents=True, exist_ok=True)
        _demo_keys = keys.load_or_make(PITCH_DATA) if DEMO else {}
    except OSError as err:
        raise BadSetting(
            f"PITCH_DATA is {PITCH_DATA}, where nothing can be written ({err.strerror}). Set PITCH_DATA to another folder."
        ) from err
    except ValueError as err:
        raise BadSetting(
            f"PITCH_DATA holds a damaged {PITCH_DATA}/keys.json. Bring it back, or delete it for new keys."
        ) from err
    SECRET_KEY = env.text("PITCH_SECRET_KEY", _demo_keys.get("PITCH_SECRET_KEY", ""))
    PITCH_ENCRYPTION_KEYS = env.items("PITCH_ENCRYPTION_KEYS", _demo_keys.get("PITCH_ENCRYPTION_KEYS", ""))
    PITCH_LINK_KEYS = env.items("PITCH_LINK_KEYS", _demo_keys.get("PITCH_LINK_KEYS", ""))
    if len(SECRET_KEY) < 50:
        raise BadSetting(
            "PITCH_SECRET_KEY must have at least 50 random characters; make them with: openssl rand -base64 48"
        )
    if not PITCH_ENCRYPTION_KEYS:
        raise BadSetting("PITCH_ENCRYPTION_KEYS is not set; make a key with: ./run manage make_key")
    for _key in PITCH_ENCRYPTION_KEYS:
        try:
            Fernet(_key)
        except ValueError as err:
            raise BadSetting(
                "PITCH_ENCRYPTION_KEYS holds something that is no key; make one with: ./run manage make_key"
            ) from err
    if not PITCH_LINK_KEYS or any(len(_key) < 32 for _key in PITCH_LINK_KEYS):
        raise BadSetting(
            "PITCH_LINK_KEYS needs at least one key of 32 or more characters, made with: openssl rand -base64 32"
        )
    if len(PITCH_LINK_KEYS) > 36:
        raise BadSetting("PITCH_LINK_KEYS holds more than 36 keys.")

    # ---- Database, cache, queue -----------------------------------------------------------------------------------
    try:
        DATABASES = {
            "default": dj_database_url.parse(env.text("DATABASE_URL", f"sqlite:///{PITCH_DATA}/pitch.sqlite3"))
        }
    except (dj_database_url.UnknownSchemeError, dj_database_url.ParseError, ValueError) as err:
        raise BadSetting("DATABASE_URL must look like postgres://user:password@host/name or sqlite:///file.") from err
    if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        DATABASES["default"]["OPTIONS"] = {
            # Measured: without IMMEDIATE half of the queue's tasks fail with "database is locked" (django-q2 on SQLite).
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        }
    elif DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise BadSetting("DATABASE_URL must name SQLite or PostgreSQL; other databases are not supported.")
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

    REDIS_URL = env.url("REDIS_URL", schemes=("redis", "rediss", "unix"))
    if REDIS_URL:
        CACHES: dict[str, dict[str, object]] = {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        }
    else:
        # Shared by the web and the worker on one host, without another service.
        CACHES = {
            "default": {
                "BACKEND": "pitch.lib.caches.FileCache",
                "LOCATION": PITCH_DATA / "cache",
                "OPTIONS": {"MAX_ENTRIES": 10_000},
            }
        }
    WORKER_PROCESSES = env.integer("WORKER_PROCESSES", 2, minimum=1, maximum=32)
    Q_CLUSTER = {
        "name": "pitch",
        "workers": WORKER_PROCESSES,
        "queue_limit": 2,
        "bulk": 1,
        "timeout": 120,
        "retry": 300,
        "ack_failures": True,
        "max_attempts": 1,
        "save_limit": -1,  # only failures: with a limit each success locks all of them
        "catch_up": False,
        "poll": 0.2,
        "recycle": 200,
        "scheduler": False,  # pitch/schedules.py is the one clock
        "label": _("Queue"),
        "ALT_CLUSTERS": {
            # A pump runs for a minute, and a final dot may take ten (RFC 5321 4.5.3.2.6): its time must outlast both.
            "send": {"timeout": 900, "retry": 1800},
            "video": {"timeout": 3600, "retry": 7200},
        },
        **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
    }

    # ---- Mail -----------------------------------------------------------------------------------------------------
    SENDING_IS_STRICT = env.choice("SENDING_DURABILITY", ("normal", "strict"), "normal") == "strict"
    SMTP_ALLOW_PLAINTEXT = env.boolean("SMTP_ALLOW_PLAINTEXT")
    try:
        SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network(n) for n in env.items("SMTP_ALLOWED_NETWORKS")]
    except ValueError as err:
        raise BadSetting("SMTP_ALLOWED_NETWORKS must be networks like 10.1.0.0/16, separated by commas.") from err
    try:
        SMTP_ALLOWED_PORTS = [int(p) for p in env.items("SMTP_ALLOWED_PORTS", "25,465,587,2525")]
    except ValueError as err:
        raise BadSetting("SMTP_ALLOWED_PORTS must be port numbers, separated by commas.") from err
    if any(not 1 <= port <= 65535 for port in SMTP_ALLOWED_PORTS):
        raise BadSetting("SMTP_ALLOWED_PORTS must be port numbers from 1 to 65535, separated by commas.")
    # Mail of Pitch itself (invitations, password resets) goes through the organization's provider: accounts pass it up.
    EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"
    DEFAULT_FROM_EMAIL = env.text("PITCH_FROM_EMAIL", f"pitch@{_host}" if "." in _host else "pitch@localhost")
    try:
        normalize(parseaddr(DEFAULT_FROM_EMAIL)[1])
    except BadAddress as err:
        if env.text("PITCH_FROM_EMAIL"):
            raise BadSetting(
                f"PITCH_FROM_EMAIL is “{DEFAULT_FROM_EMAIL}”; it must be an address like pitch@example.org."
            ) from err
    UNDO_SECONDS = 20

    # ---- Video ----------------------------------------------------------------------------------------------------
    FFMPEG = env.program("FFMPEG")
    VIDEO_MAX_SECONDS = env.integer("VIDEO_MAX_SECONDS", 600, minimum=5, maximum=7200)
    VIDEO_MAX_BYTES = env.integer("VIDEO_MAX_BYTES", 1_000_000_000, minimum=1_000_000)
    UPLOAD_KEEP_DAYS = env.integer("UPLOAD_KEEP_DAYS", 7, minimum=1, maximum=365)
    # How a finished file leaves the house: by Python, or handed to nginx by X-Accel-Redirect below this prefix.
    MEDIA_ACCEL_PREFIX = env.text("MEDIA_ACCEL_PREFIX")
    if MEDIA_ACCEL_PREFIX and not re.fullmatch(r"(/[\w.~-]+)+/?", MEDIA_ACCEL_PREFIX):
        raise BadSetting(f"MEDIA_ACCEL_PREFIX is “{MEDIA_ACCEL_PREFIX}”; it must be a path like /protected-media/.")

    # ---- API ------------------------------------------------------------------------------------------------------
    KS_ACCEPT_V1 = env.boolean("KS_ACCEPT_V1", True)

    # ---- Behind a proxy -------------------------------------------------------------------------------------------
    try:
        TRUSTED_PROXIES = [
            ipaddress.ip_network(n) for n in env.items("TRUSTED_PROXIES", "127.0.0.0/8,::1/128" if DEMO else "")
        ]
    except ValueError as err:
        raise BadSetting("TRUSTED_PROXIES must be networks like 10.0.0.0/8, separated by commas.") from err
    LANGUAGES = [("en", _("English"))]
    LANGUAGE_CODE = env.choice("PITCH_LANGUAGE", tuple(code for code, _name in LANGUAGES), "en")
    TIME_ZONE = env.text("PITCH_TIME_ZONE", "UTC")
    if TIME_ZONE not in zoneinfo.available_timezones():
        raise BadSetting(f"PITCH_TIME_ZONE is “{TIME_ZONE}”; it must be the name of a time zone, like Europe/Berlin.")
    # Who may read /metrics; empty: nobody, there is no such page.
    METRICS_TOKEN = env.text("METRICS_TOKEN")
    if METRICS_TOKEN and (len(METRICS_TOKEN) < 16 or not METRICS_TOKEN.isascii() or " " in METRICS_TOKEN):
        raise BadSetting("METRICS_TOKEN must have at least 16 ASCII characters and no spaces, or be empty.")
    LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
except BadSetting as err:
    _stop(err)

# ---- Applications ------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "pitch.apps.PitchConfig",
    "pitch.apps.PitchAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "django_prose_editor",
    "js_asset",
    "csp",
    "django_q",
    "accounts",
    "templates_app",
    "videos",
    "messaging",
]
MIDDLEWARE = [
    "pitch.health.HealthMiddleware",
    # First: SecurityMiddleware sends plain http to https, and only the proxy's word says which of them the visitor used.
    "accounts.middleware.ProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.OrganizationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "pitch.urls"
WSGI_APPLICATION = "pitch.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.organization",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- People ------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.OrganizationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
# allauth's own table of addresses stays empty (its address pages are not mounted): an address belongs to our User, unique in its
# organization, and accounts.backends finds it. So ACCOUNT_UNIQUE_EMAIL, a rule about that table, is left alone.
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # administrators invite: an address is proven by following the invitation
# Django's own, which knows the address, too: allauth's fills its table of addresses.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105  (a class)
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody is mailed who has no account
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key", "reset_password": "20/m/ip,5/m/key"}
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm", "reset_password": "accounts.forms.ResetPasswordForm"}
ACCOUNT_SESSION_REMEMBER = None

# ---- Sessions, headers, content policy -----------------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SESSION_COOKIE_NAME = "pitch_session" if DEMO else "__Host-pitch_session"
CSRF_COOKIE_NAME = "pitch_csrf" if DEMO else "__Host-pitch_csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [PITCH_BASE_URL] if PITCH_BASE_URL.startswith("https://") else []
if PITCH_BASE_DOMAIN:
    CSRF_TRUSTED_ORIGINS.append(f"https://*.{PITCH_BASE_DOMAIN}")
SECURE_SSL_REDIRECT = not DEMO
# A program is told that plain http fails (R429): one that followed would send its session in the clear each time.
SECURE_REDIRECT_EXEMPT = [r"^digitanium/", r"^auth/realms/"]
SECURE_HSTS_SECONDS = 0 if DEMO else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEMO
SECURE_HSTS_PRELOAD = not DEMO
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "worker-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

# ---- Files -----------------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = PITCH_DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = PITCH_DATA / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_PERMISSIONS = 0o640

# ---- Language, time, logs ------------------------------------------------------------------------------------------------------
USE_I18N = True
USE_TZ = True
LOCALE_PATHS = [BASE_DIR / "pitch" / "locale"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"private": {"()": "pitch.lib.logs.PrivateFilter"}},
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["private"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # It says four lines for each task, and there is a canary every few seconds; what failed is said at ERROR.
    "loggers": {"django-q": {"level": "DEBUG" if LOG_LEVEL == "DEBUG" else "WARNING"}},
}
