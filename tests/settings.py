"""The site's settings with what only tests need changed."""

import os
import tempfile

os.environ.setdefault("ROUNDTABLE_DATA_DIR", tempfile.mkdtemp(prefix="roundtable-tests-"))
os.environ.setdefault("ROUNDTABLE_SECRET_KEY", "a-secret-that-only-the-tests-know-0123456789")

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES  # noqa: E402

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # The manifest storage needs collectstatic, which tests do without.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file rather than memory: threads, worker processes and the live server share it.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["ROUNDTABLE_DATA_DIR"], "test.sqlite3")}

RUN_POLL_SECONDS = 0.05
RUN_RETRY_BASE_SECONDS = 0.1
RUN_MIN_FREE_DISK_MB = 0
