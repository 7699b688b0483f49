"""Sessions and records of logins that nobody needs any more."""

from datetime import timedelta
from importlib import import_module

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.utils import timezone

# Long enough to look back at a break-in, short enough not to keep addresses of people for ever.
RECORDS_STAY = timedelta(days=90)


def forget_old_logins() -> None:
    """Deletes sessions that have ended and records of logins and failed tries older than RECORDS_STAY."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    for records in (AccessAttempt, AccessFailureLog, AccessLog):
        records.objects.filter(attempt_time__lt=timezone.now() - RECORDS_STAY).delete()
