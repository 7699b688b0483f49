"""A worker as a process of its own, that publishes and delivers events alone. Argument: the test database."""

import os
import sys
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"


def main(database: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from events.background import deliver_in_background
    from events.publishing import publish_events

    while True:
        publish_events()
        deliver_in_background()
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
