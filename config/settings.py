"""One settings file. What differs between machines comes from environment variables, all named ROUNDTABLE_..."""

import os
import zoneinfo
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.address import read_address
from config.environment import Environment, refused
from config.static_bundles import STATIC_BUNDLES as STATIC_BUNDLES
from config.static_headers import add_content_policy
from learning.interface.model_servers import parse_keys, parse_networks, parse_servers

# config/environment.py has the table of these variables, with what each means.
env = Environment()
UNKNOWN_VARIABLES = env.unknown
BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.read("DEBUG")
# Everything the installation writes: the SQLite file, run directories, exports, models.
DATA_DIR = Path(env.read("DATA_DIR") or BASE_DIR / "var").resolve()
# Password hashes, sessions, models: nothing that the site, a command, a worker or its trainers write is for everybody.
FILE_UMASK = 0o007 if env.read("FILE_ACCESS") == "GROUP" else 0o077
os.umask(FILE_UMASK)
# SQLite makes its file and not the folder, and `migrate` opens it before anything of ours could run.
with suppress(OSError):
    DATA_DIR.mkdir(parents=True, exist_ok=True)

_DEFAULT_SECRET = "insecure-default-secret-for-development-only"
_secret_file = DATA_DIR / "secret_key"
try:
    SECRET_KEY = env.read("SECRET_KEY") or (
        _secret_file.read_text().strip() if _secret_file.is_file() else _DEFAULT_SECRET
    )
except OSError as error:
    raise ImproperlyConfigured(f"The secret key {_secret_file} cannot be read: {error.strerror}.") from error
if not DEBUG and (SECRET_KEY == _DEFAULT_SECRET or len(SECRET_KEY) < 32):
    raise ImproperlyConfigured(
        "The secret key is missing, default or shorter than 32 characters: set ROUNDTABLE_SECRET_KEY, "
        f"or write one to {_secret_file} (`make setup` does), or set ROUNDTABLE_DEBUG=1 on a development machine."
    )
SECRET_KEY_FALLBACKS: list[str] = env.read("SECRET_KEY_FALLBACKS")

_address = read_address(env)
SITE_URL = _address.url
ALLOWED_HOSTS = _address.hosts
CSRF_TRUSTED_ORIGINS = _address.origins
# Behind TLS: cookies travel over https only. Off for the demonstration on 127.0.0.1.
BEHIND_TLS = _address.behind_tls
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_HSTS_SECONDS = env.read("HSTS_SECONDS") if BEHIND_TLS else 0
# http is sent on to https, but for probes (workspace/request_records.py).
SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_SSL_HOST = _address.url.partition("://")[2] if _address.url.startswith("https") else None
# A browser takes a __Host- cookie from this host over https alone: no other service of the machine can set it.
SESSION_COOKIE_NAME = "__Host-sessionid" if BEHIND_TLS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if BEHIND_TLS else "csrftoken"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
PROXY_COUNT: int = env.read("PROXY_COUNT")
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# workspace/deploy_checks.py asks the same by the names of variables that an operator can set; and 1 does not know
# that workspace.front_door.SecurityMiddleware is Django's.
SILENCED_SYSTEM_CHECKS = [f"security.W{number:03d}" for number in (1, 4, 5, 8, 9, 12, 16, 18, 20, 21)]

INSTALLED_APPS = [
    "workspace",
    "runs",
    "annotation",
    "rewardmodel",
    "policy_training",
    "events",
    "rounds",
    "maintenance",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "workspace.request_records.ProbeMiddleware",
    "workspace.request_records.RequestRecordMiddleware",
    "workspace.request_bodies.RequestBodyMiddleware",
    "workspace.front_door.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "workspace.middleware.PagePolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "workspace.unreadable_requests.UnreadableRequestMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "workspace.languages.LanguageMiddleware",
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
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "workspace.context.navigation",
                "workspace.context.translation",
            ]
        },
    }
]

# sqlite by default; postgresql://user:password@host:port/name turns the site over to PostgreSQL.
DATABASE_URL: str = env.read("DATABASE_URL")
if DATABASE_URL:
    # Its sentences do not repeat the value, which holds a password.
    if not DATABASE_URL.startswith(("postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            "ROUNDTABLE_DATABASE_URL must begin with postgresql:// ; leave it unset for SQLite."
        )
    try:
        DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60)}
    except ValueError:
        raise ImproperlyConfigured(
            "ROUNDTABLE_DATABASE_URL cannot be read: it must be postgresql://user:password@host:port/name, with "
            "characters like @ and / of a password written as %40 and %2F."
        ) from None
    if not DATABASES["default"]["NAME"]:
        raise ImproperlyConfigured(
            "ROUNDTABLE_DATABASE_URL names no database: it must be postgresql://user:password@host:port/name."
        )
    if _password_file := env.read("DATABASE_PASSWORD_FILE"):
        try:
            DATABASES["default"]["PASSWORD"] = Path(_password_file).read_text().strip()
        except OSError as error:
            raise refused("ROUNDTABLE_DATABASE_PASSWORD_FILE", "a file that can be read") from error
    # What workspace.database.run_prepared runs is prepared, at its word (Django forbids it otherwise) and nothing else;
    # and planned once a connection: left to choose, PostgreSQL planned the search for a task before each claim, which
    # took twice as long as the search itself. None is compiled (jit): that takes longer than any statement of a page.
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    _options["prepare_threshold"] = 2**31
    _always = "-c plan_cache_mode=force_generic_plan -c jit=off"
    _options["options"] = f"{_always} {_options.get('options', '')}".strip()
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
                # Without recursive_triggers INSERT OR REPLACE deletes a row past the triggers that refuse it.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000; "
                "PRAGMA recursive_triggers=ON;",
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
# Of axes the table and the signals; when somebody is locked out is workspace.login_throttle's.
AXES_HANDLER = "workspace.login_throttle.LoginThrottle"
AXES_USERNAME_CALLABLE = "workspace.login_throttle.folded_username"
AXES_CLIENT_IP_CALLABLE = "workspace.login_throttle.throttled_address"
AXES_LOCKOUT_CALLABLE = "workspace.login_throttle.locked_response"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # workspace.admin shows its tables, to be read
INVITATION_EXPIRY_DAYS = env.read("INVITATION_EXPIRY_DAYS")
MANAGERS_CREATE_PROJECTS: bool = env.read("MANAGERS_CREATE_PROJECTS")

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch"), ("es", "Español")]  # each by its own name
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "__Host-language" if BEHIND_TLS else "language"
LANGUAGE_COOKIE_SECURE = BEHIND_TLS
TIME_ZONE: str = env.read("TIME_ZONE")
if TIME_ZONE not in zoneinfo.available_timezones():
    raise refused("ROUNDTABLE_TIME_ZONE", "the name of a time zone, as Europe/Paris or UTC")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/bootstrap", BASE_DIR / "node_modules" / "bootstrap" / "dist" / "css"),
    ("vendor/diff", BASE_DIR / "node_modules" / "diff" / "dist"),
    ("vendor/sortablejs", BASE_DIR / "node_modules" / "sortablejs"),
    ("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
    ("vendor/katex", BASE_DIR / "node_modules" / "katex" / "dist"),
]
STATICFILES_FINDERS = [
    "workspace.static_files.ProjectFilesFinder",
    "workspace.static_files.PackageFilesFinder",
]
WHITENOISE_ALLOW_ALL_ORIGINS = False  # its files are for this site's pages alone
WHITENOISE_ADD_HEADERS_FUNCTION = add_content_policy
WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # no page names another
# Compressed already, or asked for by nobody but a developer's tools (map) and browsers that are no more (ttf, eot).
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (
    *"png jpg jpeg gif webp zip gz tgz bz2 tbz xz br woff woff2".split(),
    *("map", "ttf", "eot"),
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "workspace.static_bundles.BundlingManifestStaticFilesStorage"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        # Bootstrap's CSS carries its icons as data: images.
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

UPLOAD_MAX_MB: int = env.read("UPLOAD_MAX_MB")
UPLOAD_QUOTA_MB: int = env.read("UPLOAD_QUOTA_MB")

# Models and datasets that managers bring in by the pages: nothing, unless an operator says what.
MODEL_FOLDERS: list[str] = env.read("MODEL_FOLDERS")
HUB_MODELS: list[str] = env.read("HUB_MODELS")
HUB_DATASETS: list[str] = env.read("HUB_DATASETS")

# Long work.
# A worker that has not renewed its lease for this long has lost the run to the next worker.
RUN_LEASE_SECONDS = env.read("RUN_LEASE_SECONDS")
# How often a worker renews and copies progress; well under the lease.
RUN_HEARTBEAT_SECONDS = env.read("RUN_HEARTBEAT_SECONDS")
if RUN_HEARTBEAT_SECONDS >= RUN_LEASE_SECONDS:
    raise ImproperlyConfigured(
        f"ROUNDTABLE_RUN_HEARTBEAT_SECONDS is {RUN_HEARTBEAT_SECONDS:g} and ROUNDTABLE_RUN_LEASE_SECONDS "
        f"{RUN_LEASE_SECONDS:g}: a worker must renew its lease before it ends, so the first must be smaller."
    )
# An idle worker looks for work this often.
RUN_POLL_SECONDS = env.read("RUN_POLL_SECONDS")
# Rounds advance and lapsed leases are swept this often, also while a run is going on.
RUN_TICK_SECONDS = env.read("RUN_TICK_SECONDS")
# A child asked to stop (SIGTERM) has this long to checkpoint before SIGKILL, of several processes too. Longer than the
# largest model's checkpoint takes to write.
RUN_STOP_GRACE_SECONDS = env.read("RUN_STOP_GRACE_SECONDS")
RUN_RETRY_BASE_SECONDS = env.read("RUN_RETRY_BASE_SECONDS")
RUN_RETRY_MAX_SECONDS = env.read("RUN_RETRY_MAX_SECONDS")
# Nothing is launched with less free space than this under DATA_DIR.
RUN_MIN_FREE_DISK_MB = env.read("RUN_MIN_FREE_DISK_MB")
# Names of further environment variables that trainers may see; none by default, so that no secret reaches them.
RUN_ENVIRONMENT_ALLOWLIST: list[str] = env.read("RUN_ENVIRONMENT_ALLOWLIST")
# Dotted names of functions that PPO and evaluations may take rewards from (docs/researcher-guide.md). Code that runs in
# the workers, so an operator's choice.
REWARD_FUNCTIONS: list[str] = env.read("REWARD_FUNCTIONS")
# Servers of language models that runs may ask, by name. Their keys are for the workers alone (learning/interface).
try:
    MODEL_SERVERS = parse_servers(env.read("MODEL_SERVERS"))
    parse_keys(env.read("MODEL_SERVER_KEYS"), MODEL_SERVERS)
    parse_networks(env.read("MODEL_SERVERS_PRIVATE_ADDRESSES"))
except ValueError as error:
    raise ImproperlyConfigured(f"{error}.") from error
# Whether checkpoints stay when a run is done; nothing needs them then.
RUN_KEEP_CHECKPOINTS = env.read("RUN_KEEP_CHECKPOINTS")
# Of a run that has no limit of its own. 0: none.
RUN_TIME_LIMIT_MINUTES: int = env.read("RUN_TIME_LIMIT_MINUTES")
# Torch threads of a run. 0: the cores the worker may use.
RUN_THREADS = env.read("RUN_THREADS")

# Reward models as a service (rewardmodel/serving).
SCORER_MAX_MODELS: int = env.read("SCORER_MAX_MODELS")
SCORER_IDLE_MINUTES: float = env.read("SCORER_IDLE_MINUTES")
SCORER_WAIT_SECONDS: float = env.read("SCORER_WAIT_SECONDS")
SCORER_TIMEOUT_SECONDS: float = env.read("SCORER_TIMEOUT_SECONDS")
SCORER_HOST: str = env.read("SCORER_HOST")

# Policies as a service (policy_training/serving).
POLICY_SERVER_MAX_MODELS: int = env.read("POLICY_SERVER_MAX_MODELS")
POLICY_SERVER_IDLE_MINUTES: float = env.read("POLICY_SERVER_IDLE_MINUTES")
POLICY_SERVER_HOST: str = env.read("POLICY_SERVER_HOST")

ACCESS_LOG: bool = env.read("ACCESS_LOG")
# Pushes to the Hugging Face Hub where who asks gives no token of their own.
HUB_TOKEN: str = env.read("HUB_TOKEN")
# What that token may be used for, whatever else it can write; none by default.
HUB_REPOSITORIES: list[str] = env.read("HUB_REPOSITORIES")
METRICS_TOKEN: str = env.read("METRICS_TOKEN")
if 0 < len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("ROUNDTABLE_METRICS_TOKEN is shorter than 16 characters.")
# prometheus-client reads it when it is imported; `serve` sets it where there are several web workers.
METRICS_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

# workspace/request_bodies.py decides what may be sent where; these hold wherever it has not spoken.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000_000
FILE_UPLOAD_HANDLERS = ["workspace.request_bodies.NoFiles"]

# The REST API. What every view of it has in common is in workspace/api/views.py, and nothing of it here: a view that is
# not made of that answers nobody.
API_REQUESTS_PER_MINUTE: int = env.read("API_REQUESTS_PER_MINUTE")
try:
    WEBHOOKS_PRIVATE_ADDRESSES = [ip_network(text) for text in env.read("WEBHOOKS_PRIVATE_ADDRESSES")]
except ValueError as error:
    raise refused(
        "ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES", "networks with commas between them, as 10.1.0.0/16,127.0.0.1"
    ) from error
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["workspace.api.nobody.Nobody"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": PROXY_COUNT,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Roundtable",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": r"/api/v1(/projects/\{slug\})?",
    "COMPONENT_SPLIT_REQUEST": True,
    # Choices stand where they are used: names made of those of fields would change with every new one.
    "POSTPROCESSING_HOOKS": [],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "workspace.log_lines.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.read("LOG_LEVEL")},
    # A worker tells what it does without being asked: two lines a run.
    "loggers": {
        "runs.worker": {"level": env.read("LOG_LEVEL") if env.is_set("LOG_LEVEL") else "INFO"},
        "roundtable.requests": {"level": "INFO"},
        # workspace.front_door says it with the setting's name.
        "django.security.DisallowedHost": {"handlers": [], "propagate": False},
    },
}
