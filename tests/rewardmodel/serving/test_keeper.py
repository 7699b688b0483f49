"""What a keeper does with a scorer that cannot be started, without a scorer."""

import os
import stat

import pytest

from rewardmodel.models import Serving
from rewardmodel.serving.actions import start_serving
from rewardmodel.serving.kind import SCORERS
from runs.launchers import LocalLauncher, Process
from runs.options import WorkerOptions
from runs.serving import keeper as keeping
from runs.serving.keeper import ServiceKeeper
from runs.serving.server_process import ServerProcess

pytestmark = [pytest.mark.db, pytest.mark.django_db]


class NoProcess(LocalLauncher):
    """Starts nothing and says that it did."""

    def kill_leftovers(self, *arguments):
        return True

    def start(self, launch):
        return Process(host=self.host, pid=2**22 + 1, identity="none")

    def poll(self, process):
        return 0

    def stop(self, process, launch, *, force):
        pass  # the number is no process of ours


@pytest.fixture
def keeper(monkeypatch):
    # The connection is the test's own, and so are its transactions.
    monkeypatch.setattr(keeping, "close_old_connections", lambda: None)
    return ServiceKeeper([SCORERS], WorkerOptions.from_settings(), NoProcess())


@pytest.mark.parametrize("place", ["require_recorded", "ServerProcess"])
def test_a_start_that_nobody_foresaw_to_fail_counts_as_a_failure(
    keeper, make_model, max_, monkeypatch, place
):
    def break_down(*arguments, **options):
        raise ValueError("a config nobody thought of")

    monkeypatch.setattr(keeping, place, break_down)
    start_serving(actor=max_, reward_model=make_model("taste"))
    keeper.step()
    serving = Serving.objects.get()
    # Tried three times, as after every failure; then only after a while or when somebody asks.
    assert (serving.state, serving.failures) == ("failed", 3)
    assert serving.error == "The scorer could not be started: ValueError: a config nobody thought of"
    assert keeper.kept == {} and serving.lease_until is None


def test_a_scorers_secret_is_its_own_users_alone_from_its_creation_on(make_model, max_, keeper, monkeypatch):
    serving = start_serving(actor=max_, reward_model=make_model("taste"))
    scorer = ServerProcess(SCORERS, serving, keeper.launcher, stop_grace_seconds=1)
    created = []
    real = os.open

    def look(path, flags, mode=0o777, **options):
        handle = real(path, flags, mode, **options)
        if str(path).endswith("secret"):
            created.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(os, "open", look)
    before = os.umask(0)
    try:
        scorer.start({})
    finally:
        os.umask(before)
    path = scorer.directory / "secret"
    assert created == [0o600] and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == scorer.secret


def test_one_service_that_cannot_be_looked_after_keeps_nobody_else_from_it(
    keeper, make_model, max_, monkeypatch
):
    broken, other = (start_serving(actor=max_, reward_model=make_model(name)) for name in ("broken", "other"))
    monkeypatch.setattr(keeping, "require_recorded", lambda *arguments: None)
    monkeypatch.setattr(NoProcess, "poll", lambda launcher, process: None)
    keeper.step()
    assert len(keeper.kept) == 2

    def look(self, kept):
        if kept.service.pk == broken.pk:
            raise ValueError("a status nobody thought of")
        kept.answered_at = -1.0  # it was looked at

    monkeypatch.setattr(ServiceKeeper, "_look_whether_ready", look)
    monkeypatch.setattr(ServiceKeeper, "_claim", lambda self, kind: None)
    keeper.step()
    broken.refresh_from_db()
    assert (broken.state, broken.failures) == ("waiting", 1)
    assert broken.error == "The scorer could not be looked after: ValueError: a status nobody thought of"
    assert [kept.answered_at for kept in keeper.kept.values()] == [-1.0]
    assert next(iter(keeper.kept.values())).service.pk == other.pk


def test_a_server_that_cannot_be_ended_does_not_end_the_keeper(keeper, make_model, max_, monkeypatch, caplog):
    start_serving(actor=max_, reward_model=make_model("taste"))
    monkeypatch.setattr(keeping, "require_recorded", lambda *arguments: None)
    monkeypatch.setattr(NoProcess, "poll", lambda launcher, process: None)
    keeper.step()
    [kept] = keeper.kept.values()
    keeper._let_go(kept)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ServerProcess, "poll", refuse)
    keeper.step()
    assert "could not be looked after" in caplog.text and len(keeper.ending) == 1
