"""Guesses at a password are bounded by name and address, by address and by name; nobody is locked out by others."""

from datetime import timedelta

import pytest
from axes.models import AccessFailureLog
from django.core.management import CommandError, call_command
from django.utils import timezone

from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]
RIGHT = "correct horse battery"  # of everybody in the cast


@pytest.fixture
def try_(client, settings):
    """Tries a password at the login page; the answer's status: 302 in, 200 wrong, 429 refused unread."""
    settings.PROXY_COUNT = 1

    def try_login(name, password="wrong", address="203.0.113.1", page="/login/"):
        client.logout()
        data = {"username": name, "password": password}
        return client.post(page, data, HTTP_X_FORWARDED_FOR=f"9.9.9.9, {address}").status_code

    return try_login


def test_eight_wrong_tries_lock_a_name_there_and_nowhere_else(try_, ada, ruth):
    assert [try_("ada") for _ in range(9)] == [200] * 7 + [429] * 2
    assert try_("ada", RIGHT) == 429
    assert try_("ada", RIGHT, page="/operators/login/?next=/operators/") == 429
    # Another address, and another name from the same address.
    assert try_("ada", RIGHT, address="203.0.113.2") == 302
    assert try_("ruth", RIGHT) == 302


def test_what_is_refused_unread_is_not_counted_and_time_unlocks(try_, ada):
    for _ in range(30):
        try_("ada")
    assert AccessFailureLog.objects.count() == 8
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert try_("ada", RIGHT) == 302


def test_spellings_of_a_name_are_one_name(try_, ada):
    spellings = ["ada", "ADA", " ada", "ada ", "Ada", "ａｄａ", "aDa", "adA"]
    assert [try_(name) for name in spellings] == [200] * 7 + [429]
    assert try_("ada", RIGHT) == 429


def test_many_names_from_one_address_are_bounded_and_leave_who_works_there_alone(try_, ada, ruth):
    assert try_("ada", RIGHT) == 302
    answers = [try_(f"name{number}") for number in range(62)]
    assert answers == [200] * 59 + [429] * 3
    # Ruth has never logged in from there, Ada has.
    assert try_("ruth", RIGHT) == 429
    assert try_("ada", RIGHT) == 302
    assert try_("ruth", RIGHT, address="203.0.113.2") == 302


def test_one_name_from_many_addresses_is_bounded_and_one_address_alone_does_not_reach_the_bound(try_, ada):
    assert try_("ada", RIGHT, address="198.51.100.1") == 302
    early = timezone.now() - timedelta(hours=2)
    for _ in range(100):
        AccessFailureLog.objects.create(
            username="ada", ip_address="203.0.113.99", user_agent="", http_accept=""
        )
    AccessFailureLog.objects.update(attempt_time=early)
    assert try_("ada", RIGHT, address="203.0.113.50") == 302
    for number in range(8):
        for _ in range(7):
            assert try_("ada", address=f"203.0.113.{number}") in (200, 429)
    # 8 of the one address and 7 of each of eight: 64.
    assert try_("ada", RIGHT, address="203.0.113.60") == 429
    # Where she has logged in before she still can.
    assert try_("ada", RIGHT, address="198.51.100.1") == 302
    assert try_("ada", RIGHT, address="203.0.113.50") == 302


def test_addresses_that_a_client_names_itself_do_not_help(client, settings, ada):
    settings.PROXY_COUNT = 0
    data = {"username": "ada", "password": "wrong"}
    answers = [
        client.post("/login/", data, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}").status_code
        for number in range(9)
    ]
    assert answers == [200] * 7 + [429] * 2


def test_the_log_says_who_was_tried_and_from_where(try_, ada, caplog):
    for _ in range(9):
        try_("ada\n2026 forged", address="203.0.113.5")
    said = [r.getMessage() for r in caplog.records if r.name == "workspace.login_throttle"]
    assert len(said) == 9
    assert said[0] == r"Wrong password or name: 'ada\n2026 forged' from 203.0.113.5 at /login/"
    assert said[7].endswith("; locked: 8 tries at this name from this address")
    assert said[8].startswith(r"Login of 'ada\n2026 forged' from 203.0.113.5 refused: 8 tries")


def test_the_old_password_is_guessed_no_more_often_than_at_the_login(client, ada):
    client.force_login(ada)
    new = {"new_password1": "another long phrase", "new_password2": "another long phrase"}
    wrong = [client.post("/password/", {"old_password": "wrong", **new}).status_code for _ in range(9)]
    assert wrong == [422] * 7 + [429] * 2
    answer = client.post("/password/", {"old_password": RIGHT, **new})
    assert answer.status_code == 429 and answer["Retry-After"] == "900"
    ada.refresh_from_db()
    assert ada.check_password(RIGHT)
    call_command("unlock_login", "ADA")
    assert client.post("/password/", {"old_password": RIGHT, **new}).status_code == 302


def test_the_operators_own_page_of_passwords_leads_to_ours(client, make_user):
    client.force_login(make_user("op", is_staff=True, is_superuser=True))
    answer = client.post("/operators/password_change/", {"old_password": "wrong"})
    assert answer.status_code == 302 and answer["Location"] == "/password/"


def test_an_operator_unlocks_a_name_an_address_or_everybody(try_, ada, ruth, capsys):
    for name in ("ada", "ruth"):
        for _ in range(8):
            try_(name)
    call_command("unlock_login", "Ada ")
    assert capsys.readouterr().out == "Forgotten: 8 failed tries.\n"
    assert try_("ada", RIGHT) == 302 and try_("ruth", RIGHT) == 429
    call_command("unlock_login", address="203.0.113.1")
    assert try_("ruth", RIGHT) == 302
    for _ in range(8):
        try_("ruth")
    call_command("axes_reset_username", "ruth")
    assert try_("ruth", RIGHT) == 302
    with pytest.raises(CommandError, match="Say whom"):
        call_command("unlock_login")


# Who may do what to accounts on the operators' pages.


@pytest.fixture
def operators(make_user):
    from django.contrib.auth.models import Permission

    clerk, boss = make_user("clerk", is_staff=True), make_user("boss", is_staff=True, is_superuser=True)
    clerk.user_permissions.set(
        Permission.objects.filter(codename__in=["change_user", "view_user", "add_user"])
    )
    return clerk, boss


def account_form(user, **changes):
    data = {
        "username": user.username,
        "date_joined_0": "2026-11-01",
        "date_joined_1": "10:00:00",
        "is_active": "on",
    }
    return data | changes


def test_who_may_change_accounts_cannot_raise_anybody_nor_take_over_an_operator(client, operators, ada):
    clerk, boss = operators
    client.force_login(clerk)
    raised = account_form(ada, is_staff="on", is_superuser="on")
    assert client.post(f"/operators/workspace/user/{ada.pk}/change/", raised).status_code == 302
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (False, False)
    secret = {
        "password1": "another long phrase",
        "password2": "another long phrase",
        "usable_password": "true",
    }
    for other in (boss, clerk):
        assert (
            client.post(f"/operators/workspace/user/{other.pk}/change/", account_form(other)).status_code
            == 403
        )
        assert client.post(f"/operators/workspace/user/{other.pk}/password/", secret).status_code == 403
        other.refresh_from_db()
        assert other.check_password(RIGHT)
    assert client.post(f"/operators/workspace/user/{ada.pk}/password/", secret).status_code == 302
    assert AuditEvent.objects.filter(action="user.set_password", target_id=str(ada.pk)).count() == 1
    client.force_login(boss)
    assert client.post(f"/operators/workspace/user/{ada.pk}/change/", raised).status_code == 302
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (True, True)


def test_records_of_logins_are_only_read_and_groups_are_not_there(client, operators, try_, ada):
    try_("ada")
    client.force_login(operators[1])
    row = AccessFailureLog.objects.get()
    assert client.get("/operators/axes/accessfailurelog/").status_code == 200
    assert (
        client.post(f"/operators/axes/accessfailurelog/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    )
    assert client.get("/operators/auth/group/add/").status_code == 404
    assert AccessFailureLog.objects.count() == 1
