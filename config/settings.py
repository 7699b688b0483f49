"""One settings file. What differs between machines comes from environment variables, all named ROUNDTABLE_..."""

from contextlib import suppress
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import Env

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("ROUNDTABLE_DEBUG", False)
# Everything the installation writes: the SQLite file, run directories, exports, models.
DATA_DIR = Path(env.str("ROUNDTABLE_DATA_DIR", str(BASE_DIR / "var"))).resolve()
# SQLite makes its file and not the folder, and `migrate` opens it before anything of ours could run.
with suppress(OSError):
    DATA_DIR.mkdir(parents=True, exist_ok=True)

_DEFAULT_SECRET = "insecure-default-secret-for-development-only"
_secret_file = DATA_DIR / "secret_key"
SECRET_KEY = env.str("ROUNDTABLE_SECRET_KEY", "") or (
    _secret_file.read_text().strip() if _secret_file.is_file() else _DEFAULT_SECRET
)
if not DEBUG and (SECRET_KEY == _DEFAULT_SECRET or len(SECRET_KEY) < 32):
    raise ImproperlyConfigured(
        "The secret key is missing, default or shorter than 32 characters: set ROUNDTABLE_SECRET_KEY, "
        f"or write one to {_secret_file} (`make setup` does), or set ROUNDTABLE_DEBUG=1 on a development machine."
    )

ALLOWED_HOSTS = env.list("ROUNDTABLE_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("ROUNDTABLE_TRUSTED_ORIGINS", [])
# Behind TLS: cookies travel over https only. Off for the demonstration on 127.0.0.1.
BEHIND_TLS = env.bool("ROUNDTABLE_BEHIND_TLS", False)
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "workspace",
    "runs",
    "annotation",
    "rewardmodel",
    "policy_training",
    "rounds",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "workspace.middleware.VisitMiddleware",
    "workspace.middleware.NoLongerMemberMiddleware",
    "workspace.middleware.MethodNotAllowedMiddleware",
    "workspace.middleware.ExpiredSessionMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "workspace.context.navigation",
            ]
        },
    }
]

# sqlite by default; postgresql://user:password@host:port/name turns the site over to PostgreSQL.
DATABASE_URL = env.str("ROUNDTABLE_DATABASE_URL", "")
if DATABASE_URL:
    DATABASES = {"default": env.dj_db_url("ROUNDTABLE_DATABASE_URL", conn_max_age=60)}
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "ROUNDTABLE_DATABASE_URL must begin with postgresql:// ; leave it unset for SQLite."
        )
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "roundtable.sqlite3",
            "OPTIONS": {
                # IMMEDIATE takes the write lock at BEGIN: a deferred transaction that turns into a writer
                # fails at once with "database is locked" instead of waiting its turn.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000;",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "workspace.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "workspace:login"
LOGIN_REDIRECT_URL = "workspace:home"
CSRF_FAILURE_VIEW = "workspace.views.csrf_failure"
LOGOUT_REDIRECT_URL = "workspace:login"
# An annotator's working day: a session outlives a night's sleep, not a holiday.
SESSION_COOKIE_AGE = 3 * 24 * 3600
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "workspace/locked_out.html"
AXES_VERBOSE = False
INVITATION_EXPIRY_DAYS = env.int(
    "ROUNDTABLE_INVITATION_EXPIRY_DAYS", env.int("ROUNDTABLE_INVITATION_DAYS", 7)
)

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.str("ROUNDTABLE_TIME_ZONE", "UTC")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/bootstrap", BASE_DIR / "node_modules" / "bootstrap" / "dist" / "css"),
    ("vendor/sortablejs", BASE_DIR / "node_modules" / "sortablejs"),
    ("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
    ("vendor/katex", BASE_DIR / "node_modules" / "katex" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        # Bootstrap's CSS carries its icons as data: images.
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# Long work. Four variables have an older name, which still works where the new one is not set.
# A worker that has not renewed its lease for this long has lost the run to the next worker.
RUN_LEASE_SECONDS = env.float("ROUNDTABLE_RUN_LEASE_SECONDS", 30.0)
# How often a worker renews and copies progress; well under the lease.
RUN_HEARTBEAT_SECONDS = env.float("ROUNDTABLE_RUN_HEARTBEAT_SECONDS", 2.0)
# An idle worker looks for work this often.
RUN_POLL_SECONDS = env.float("ROUNDTABLE_RUN_POLL_SECONDS", 1.0)
# Rounds advance and lapsed leases are swept this often, also while a run is going on.
RUN_TICK_SECONDS = env.float("ROUNDTABLE_RUN_TICK_SECONDS", 5.0)
# A child asked to stop (SIGTERM) has this long to checkpoint before SIGKILL, of several processes too. Longer than the
# largest model's checkpoint takes to write.
RUN_STOP_GRACE_SECONDS = env.float("ROUNDTABLE_RUN_STOP_GRACE_SECONDS", 60.0)
RUN_RETRY_BASE_SECONDS = env.float("ROUNDTABLE_RUN_RETRY_BASE_SECONDS", 10.0)
RUN_RETRY_MAX_SECONDS = env.float(
    "ROUNDTABLE_RUN_RETRY_MAX_SECONDS", env.float("ROUNDTABLE_RUN_RETRY_CAP_SECONDS", 600.0)
)
# Nothing is launched with less free space than this under DATA_DIR.
RUN_MIN_FREE_DISK_MB = env.int(
    "ROUNDTABLE_RUN_MIN_FREE_DISK_MB", env.int("ROUNDTABLE_RUN_DISK_FLOOR_MB", 1024)
)
# Names of further environment variables that trainers may see; none by default, so that no secret reaches them.
RUN_ENVIRONMENT_ALLOWLIST: list[str] = env.list(
    "ROUNDTABLE_RUN_ENVIRONMENT_ALLOWLIST", env.list("ROUNDTABLE_RUN_PASS_ENVIRONMENT", [])
)
# Torch threads of a run. 0: the cores the worker may use.
RUN_THREADS = env.int("ROUNDTABLE_RUN_THREADS", 0)

DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("ROUNDTABLE_LOG_LEVEL", "WARNING")},
    # A worker tells what it does without being asked: two lines a run.
    "loggers": {"runs.worker": {"level": env.str("ROUNDTABLE_LOG_LEVEL", "INFO")}},
}
