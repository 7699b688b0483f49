#!/usr/bin/env python
"""Django's command line.

A setting that is missing or wrong, and a database that is not migrated, are one sentence and exit code 2, not a
traceback; a database or disk that is away, full, read-only or busy is one sentence and exit code 1.
"""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        print(error, file=sys.stderr)
        sys.exit(2)
    except (DatabaseError, InterfaceError, OSError) as error:
        # Only now: it needs Django set up, as it is once a command has reached the database.
        from workspace.unavailable import explain, not_migrated

        sentence = explain(error)
        if sentence is None or "--traceback" in sys.argv:
            raise
        print(f"{sentence} ({str(error).strip().partition(chr(10))[0]})", file=sys.stderr)
        sys.exit(2 if sentence == not_migrated() else 1)
