"""The tests' settings for a process that a test starts: it opens the database of the tests themselves."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

_database = DATABASES["default"]
# Several test processes side by side have a database each; they say which.
_database["NAME"] = os.environ["TEST_DATABASE_NAME"]
