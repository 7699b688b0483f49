import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.learning.running import ROOT, environment
from workspace.models import AuditEvent
from workspace.project_settings import SPLITS
from workspace.shown_values import shown_of


@pytest.mark.parametrize("command", [["worker", "--once"], ["start_round", "kitchen"]])
def test_a_database_without_the_tables_of_this_version_is_one_sentence(tmp_path, command):
    """In a process of its own: the tests' database has them all."""
    empty = environment(ROUNDTABLE_DATA_DIR=str(tmp_path), ROUNDTABLE_SECRET_KEY="x" * 40)
    empty.pop("ROUNDTABLE_DATABASE_URL", None)
    empty["DJANGO_SETTINGS_MODULE"] = "config.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=empty,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert "run `manage.py migrate` first" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.db
@pytest.mark.django_db
def test_a_projects_time_zone_is_set_by_name(project):
    out = StringIO()
    call_command("set_time_zone", "kitchen", "America/New_York", stdout=out)
    project.refresh_from_db()
    assert (project.time_zone, out.getvalue()) == (
        "America/New_York",
        "Times of Kitchen are those of America/New_York now.\n",
    )
    with pytest.raises(CommandError, match="“Mars” is no time zone") as caught:
        call_command("set_time_zone", "kitchen", "Mars")
    assert caught.value.returncode == 2


@pytest.mark.django_db
def test_the_division_of_prompts_is_set_by_command_and_page(project, max_, client):
    def run(*arguments):
        out = StringIO()
        call_command("set_splits", "kitchen", *arguments, stdout=out)
        return out.getvalue()

    assert run("--train", "0.6", "--validation", "0.3") == (
        "Prompts that come from now on: 60.00% train, 30.00% validation, the rest test.\n"
    )
    assert "test helpful=700; of the rest 66.67% train, 33.33% validation." in run(
        "--test-per-tag", "helpful=700"
    )
    with pytest.raises(CommandError, match="train must be above 0") as refused:
        run("--train", "0.9")
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="at least one prompt is held out"):
        run("--test-per-tag", "many")
    project.refresh_from_db()
    assert (project.train_share, project.validation_share) == (0.6, 0.3)
    client.force_login(max_)
    page = "/projects/kitchen/splits/"
    said = client.post(page, {"train_share": "90", "validation_share": "20"}, follow=True).content.decode()
    assert "do not fit" in said
    shown = shown_of(project, SPLITS)
    client.post(
        page, {"train_share": "50", "validation_share": "12.5", "test_per_tag": "700", "shown": shown}
    )
    project.refresh_from_db()
    assert (project.train_share, project.validation_share, project.test_per_tag) == (0.5, 0.125, {"*": 700})


@pytest.mark.db
@pytest.mark.django_db
def test_a_forgotten_password_is_replaced_by_a_printed_one_and_ends_the_sessions(client, project, ada, max_):
    client.force_login(ada)
    assert client.get("/projects/kitchen/annotate/").status_code == 200
    out = StringIO()
    call_command("reset_password", "ada", "--actor", "max", stdout=out)
    password = out.getvalue().strip().rpartition(" ")[2]
    assert client.get("/projects/kitchen/annotate/").status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(password) and len(password) == 16
    event = AuditEvent.objects.filter(action="user.set_password").get()
    assert (event.actor, event.target_id) == (max_, str(ada.pk)) and password not in str(event.details)
    with pytest.raises(CommandError, match="no active person with the user name adda") as caught:
        call_command("reset_password", "adda")
    assert caught.value.returncode == 2
