"""The site's settings with what only tests need changed."""

import atexit
import os
import shutil
import tempfile

_PREFIX = "roundtable-tests-"
if "ROUNDTABLE_DATA_DIR" not in os.environ:
    os.environ["ROUNDTABLE_DATA_DIR"] = _folder = tempfile.mkdtemp(prefix=_PREFIX)
    # Processes that tests start inherit the folder and leave it alone.
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
# Test processes side by side have a folder each in it: a test may count what lies there.
_given = os.environ["ROUNDTABLE_DATA_DIR"]
if (_worker := os.environ.get("PYTEST_XDIST_WORKER")) and os.path.basename(_given).startswith(_PREFIX):
    os.environ["ROUNDTABLE_DATA_DIR"] = os.path.join(_given, _worker)
    os.makedirs(os.environ["ROUNDTABLE_DATA_DIR"], mode=0o700, exist_ok=True)
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

API_REQUESTS_PER_MINUTE = 10_000_000
RUN_POLL_SECONDS = 0.05
RUN_RETRY_BASE_SECONDS = 0.1
RUN_MIN_FREE_DISK_MB = 0
# Nobody is there who would load a model, in most tests.
SCORER_WAIT_SECONDS = 0.0
