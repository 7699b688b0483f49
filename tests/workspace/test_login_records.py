"""Ended sessions and old records of logins go; what is in use stays."""

from datetime import timedelta

import pytest
from axes.models import AccessLog
from django.contrib.sessions.models import Session
from django.utils import timezone

from workspace.login_records import forget_old_logins

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_ended_sessions_and_records_of_more_than_ninety_days_are_deleted():
    now = timezone.now()
    for key, ends in (("ended", now - timedelta(seconds=1)), ("open", now + timedelta(days=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=ends)
    for name, days in (("old", 91), ("recent", 89)):
        record = AccessLog.objects.create(username=name, ip_address="192.0.2.1", user_agent="x")
        AccessLog.objects.filter(pk=record.pk).update(attempt_time=now - timedelta(days=days))
    forget_old_logins()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]
    assert list(AccessLog.objects.values_list("username", flat=True)) == ["recent"]
