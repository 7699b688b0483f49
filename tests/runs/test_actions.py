import hashlib
import subprocess

import pytest

from runs.actions import cancel_run, clone_run, queue_run, register_artifact, resume_run, retry_run
from runs.artifacts import hash_path
from runs.errors import BadArtifact, BadRunConfig, IllegalTransition
from runs.models import Run
from tests.runs.run_kinds import COUNTING
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.db]


def audited(action: str) -> int:
    return AuditEvent.objects.filter(action=action).count()


def test_a_queued_run_waits_with_the_kinds_label_and_one_audit_row(queue_counting, max_):
    run = queue_counting(title="Count to five")
    assert (run.state, run.attempt, run.fence, run.kind_label) == ("queued", 0, 0, "Counting")
    assert run.requested_by == max_ and run.max_attempts == 3 and run.threads == 1
    assert not run.path.exists()
    assert AuditEvent.objects.get(action="run.queue").target_id == str(run.pk)


def test_a_config_the_command_would_refuse_is_refused_before_it_is_queued(project, max_):
    for config, said in [
        ({"runtime": {}, "stepz": 3}, "stepz"),
        ({"runtime": {}, "steps": "many"}, "steps"),
        ({"runtime": {}, "steps": 0}, "steps"),
        ({}, "runtime"),
    ]:
        with pytest.raises(BadRunConfig, match=said):
            queue_run(actor=max_, project=project, kind=COUNTING, title="Count", config=config)
    assert not Run.objects.exists() and audited("run.queue") == 0


def test_cancelling_a_waiting_run_ends_it_at_once(queue_counting, max_):
    run = cancel_run(actor=max_, run=queue_counting())
    assert run.state == "cancelled" and run.finished_at is not None
    assert audited("run.cancel") == 1


def test_cancelling_a_running_run_asks_its_worker_once(run_in, max_):
    run = run_in("running")
    for _ in range(2):
        run = cancel_run(actor=max_, run=run)
        assert run.state == "running" and run.cancel_requested
    assert audited("run.cancel") == 1


@pytest.mark.parametrize("state", ["done", "failed", "user_error", "cancelled"])
def test_a_finished_run_cannot_be_cancelled(run_in, max_, state):
    with pytest.raises(IllegalTransition):
        cancel_run(actor=max_, run=run_in(state))
    assert audited("run.cancel") == 0


@pytest.mark.parametrize("state", ["failed", "user_error", "cancelled"])
def test_a_retried_run_has_all_its_attempts_again_and_keeps_its_directory(run_in, max_, state):
    run = run_in(state)
    Run.objects.filter(pk=run.pk).update(attempt=3, cancel_requested=True)
    again = retry_run(actor=max_, run=run)
    assert (again.state, again.attempt, again.error, again.cancel_requested) == ("queued", 0, "", False)
    assert again.finished_at is None and again.directory == run.directory
    assert again.fence == run.fence, "the fence only ever grows"
    assert audited("run.retry") == 1


@pytest.mark.parametrize("state", ["queued", "running", "done", "failed", "user_error", "cancelled"])
def test_only_a_paused_run_is_resumed(run_in, max_, state):
    with pytest.raises(IllegalTransition, match="not paused"):
        resume_run(actor=max_, run=run_in(state), end=True)
    assert audited("run.resume") == 0


def test_a_paused_run_can_be_cancelled_and_not_retried(run_in, max_):
    run = run_in("paused")
    with pytest.raises(IllegalTransition):
        retry_run(actor=max_, run=run)
    assert cancel_run(actor=max_, run=run).state == "cancelled"


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_there_is_nothing_to_retry_in_a_run_under_way_or_done(run_in, max_, state):
    with pytest.raises(IllegalTransition):
        retry_run(actor=max_, run=run_in(state))
    assert audited("run.retry") == 0


def test_a_clone_starts_from_nothing_in_a_directory_of_its_own(run_in, ruth, max_):
    run = run_in("done")
    clone = clone_run(actor=max_, run=run, config={**run.config, "steps": 9})
    assert clone.cloned_from == run and clone.directory != run.directory
    assert (clone.state, clone.fence, clone.attempt) == ("queued", 0, 0)
    assert clone.config["steps"] == 9 and "steps" not in run.config
    assert (clone.kind, clone.kind_label) == (run.kind, run.kind_label)
    assert audited("run.clone") == 1


def test_a_folder_is_registered_once_and_a_changed_one_is_refused(project, max_, tmp_path):
    folder = tmp_path / "models" / "sft"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "a.safetensors").write_bytes(b"123")
    artifact = register_artifact(actor=max_, project=project, kind="policy", path=folder)
    assert artifact.path == "models/sft" and artifact.absolute_path == folder and artifact.size_bytes == 5
    assert register_artifact(actor=max_, project=project, kind="policy", path=folder) == artifact
    assert audited("artifact.register") == 1
    (folder / "config.json").write_text("[]")
    with pytest.raises(BadArtifact, match="new folder"):
        register_artifact(actor=max_, project=project, kind="policy", path=folder)
    with pytest.raises(BadArtifact, match="nothing"):
        register_artifact(actor=max_, project=project, kind="policy", path=tmp_path / "nowhere")


def test_a_folders_hash_is_what_sha256sum_gives(tmp_path):
    for name, content in {"b.txt": b"b", "a.txt": b"a", "c/d.txt": b"d" * 9}.items():
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(content)
    command = r"find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1"
    told = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path / "f", capture_output=True, text=True, check=True
    )
    digest = hash_path(tmp_path / "f")
    assert (digest.sha256, digest.size_bytes) == (told.stdout.strip(), 11)
    assert hash_path(tmp_path / "f" / "a.txt").sha256 == hashlib.sha256(b"a").hexdigest()
