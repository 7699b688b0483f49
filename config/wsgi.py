"""The WSGI application that granian serves. A setting that is missing or wrong is one sentence, not a traceback."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
try:
    _site = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(str(error))

# After the site: it sets Django up.
from workspace.idle_connections import GivesBackIdleConnections  # noqa: E402
from workspace.unavailable import say_what_is_missing  # noqa: E402
from workspace.web_server import web_worker_ends_with_its_server  # noqa: E402

say_what_is_missing()
web_worker_ends_with_its_server()
application = GivesBackIdleConnections(_site)
