"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

# After the application: it sets Django up.
from workspace.unavailable import say_what_is_missing  # noqa: E402

say_what_is_missing()
