"""Files of a run as its page and its curves show them, in parts, and which are never read."""

import json
import os
import re

import pytest

from runs.models import Run
from runs.run_files import downsample, panel_of
from tests.runs.conftest import url

pytestmark = [pytest.mark.django_db, pytest.mark.db]


def test_curves_come_in_pieces_and_begin_anew_with_a_new_attempt(client, filled, ruth):
    client.force_login(ruth)
    first = client.get(url("metrics", filled)).json()
    assert first["reset"] and [row["step"] for row in first["rows"]] == list(range(1, 31))
    assert first["panels"] == {"Loss": ["loss"], "Accuracy": ["accuracy"]} and not first["finished"]
    assert first["titles"] == {"Loss": "Loss", "Accuracy": "Accuracy"}
    assert set(first["about"]) == {"Loss", "Accuracy"} and "half is chance" in first["about"]["Accuracy"]
    where = {"offset": first["offset"], "fence": first["fence"]}
    assert client.get(url("metrics", filled), where).json()["rows"] == []
    with open(filled.path / "metrics.jsonl", "a") as metrics:
        metrics.write('{"step": 31, "loss": NaN, "note": "x"}\n{"step": 32, "lo')
    piece = client.get(url("metrics", filled), where)
    assert "NaN" not in piece.content.decode()
    assert piece.json()["rows"] == [{"step": 31, "loss": None}] and not piece.json()["reset"]
    Run.objects.filter(pk=filled.pk).update(fence=2)
    assert client.get(url("metrics", filled), where).json()["reset"]
    for offset in ("-1", "x", "9" * 30, "1e9"):
        answer = client.get(url("metrics", filled), {"offset": offset, "fence": 2}).json()
        assert answer["reset"] and len(answer["rows"]) == 31


def test_no_path_given_through_the_site_reads_a_file_outside_the_run(client, filled, ruth, tmp_path):
    client.force_login(ruth)
    (tmp_path / "secret_key").write_text("the secret")
    base = url("run", filled)
    for name in (
        "../../secret_key", "..%2f..%2fsecret_key", "%2e%2e/%2e%2e/secret_key", "/etc/passwd", "%2fetc%2fpasswd",
        "inputs/manifest.json", "fence", "log.txt/../../../secret_key", "log.txt%00", "..", ".",
    ):  # fmt: skip
        answer = client.get(f"{base}files/{name}")
        assert answer.status_code == 404, name
    (filled.path / "result.json").symlink_to(tmp_path / "secret_key")
    assert client.get(url("file", filled, name="result.json")).status_code == 404
    good = client.get(url("file", filled, name="log.txt"))
    assert good.status_code == 200 and good["Content-Disposition"].startswith("attachment")
    assert good["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "name", ["output.txt", "log.txt", "samples.jsonl", "metrics.jsonl", "config.json", "status.json"]
)
def test_links_and_pipes_in_a_runs_folder_are_neither_followed_nor_waited_for(
    client, filled, ruth, tmp_path, name
):
    client.force_login(ruth)
    secret = tmp_path / "secret"
    secret.write_text('{"step": 1, "loss": 4711, "text": "the secret"}\n')
    for other in ("log.txt", "output.txt"):  # output.txt is shown where there is no log
        (filled.path / other).unlink(missing_ok=True)
    path = filled.path / name
    for make in (lambda: path.symlink_to(secret), lambda: os.mkfifo(path), path.mkdir):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        make()
        for page in ("run", "live", "metrics"):
            answer = client.get(url(page, filled))
            assert answer.status_code == 200
            # A time ends in microseconds, which may be these.
            content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+", b"", answer.content)
            assert b"secret" not in content and b"4711" not in content
        assert f"files/{name}" not in client.get(url("run", filled)).content.decode()
        assert client.get(url("file", filled, name=name)).status_code == 404


@pytest.mark.parametrize(
    "line",
    ["[1, 2]", "7", "null", '"x"', '{"step": [1], "loss": {"a": [1]}}', '{"step": "x", "prompt": [[["deep"]]]}',
     '{"step": 1e999, "loss": 1' + "0" * 400 + "}", "[" * 5000, '{"a": ' * 5000],
)  # fmt: skip
def test_rows_of_another_shape_are_shown_or_left_out_but_never_an_error(client, filled, ruth, line):
    client.force_login(ruth)
    for name in ("metrics.jsonl", "samples.jsonl"):
        (filled.path / name).write_text(f'{line}\n{{"step": 5, "loss": 0.5}}\n')
    (filled.path / "status.json").write_text(line)
    for page in ("run", "live"):
        assert client.get(url(page, filled)).status_code == 200
    answer = client.get(url("metrics", filled))
    assert answer.status_code == 200
    if not line.startswith(("[[", '{"a": {')):  # these cannot be read, and end the curves
        assert {"step": 5, "loss": 0.5} in answer.json()["rows"]


def test_long_files_are_read_in_parts(client, filled, ruth, monkeypatch):
    """Curves come as far as one answer goes and the browser asks on at once; of samples only the end is read."""
    client.force_login(ruth)
    monkeypatch.setattr("runs.run_files.METRICS_BYTES", 100)
    seen, where, answers = [], {}, 0
    while True:
        answer = client.get(url("metrics", filled), where).json()
        seen += [row["step"] for row in answer["rows"]]
        where, answers = {"offset": answer["offset"], "fence": answer["fence"]}, answers + 1
        if not answer["more"]:
            break
    assert seen == list(range(1, 31)) and answers > 10
    row = json.dumps({"step": 1, "text": "x" * 1000}) + "\n"
    with open(filled.path / "samples.jsonl", "w") as samples:
        samples.writelines(row for _ in range(5000))
        samples.write(json.dumps({"step": 9999, "text": "the last"}) + "\n")
    page = client.get(url("run", filled)).content.decode()
    assert "the last" in page
    # 12 samples of a thousand characters and not five thousand.
    assert page.count("x" * 1000) == 11


@pytest.mark.parametrize(
    ("metric", "panel"),
    [
        ("ranking_loss", "Loss"),
        ("validation/loss", "Loss"),
        ("eval_accuracy", "Accuracy"),
        ("kl", "KL"),
        ("approx_kl", "KL"),
        ("eval_kl", "KL"),
        ("kl_coefficient", "KL coefficient"),
        ("score", "Reward"),
        ("score_std", "Reward"),
        ("processed_score", "Reward"),
        ("rlhf_reward", "Reward"),
        ("preferred_reward", "Implicit reward"),
        ("eval_reward_margin", "Implicit reward"),
        ("eval_score", "Reward"),
        ("learning_rate", "Learning rate"),
        ("gradient_norm", "Gradient norm"),
        ("clip_fraction", "Clipping"),
        ("value_loss", "Loss"),
        ("tokens_per_second", "Speed"),
        ("seconds_experience", "Speed"),
        ("seconds_scoring", "Speed"),
        ("seconds_rollout", "Speed"),  # of runs before sampling and scoring were told apart
        ("entropy", "Entropy"),
        ("response_perplexity", "Perplexity of its own answers"),
        ("eval_perplexity", "Perplexity"),
        ("distinct_2", "Distinct n-grams"),
        ("sqrt_kl", "KL"),
        ("advantage_mean", "Advantages and values"),
        ("judgments", "Counts and the rest"),
        ("response_tokens", "Length"),
        ("eos_rate", "Ended answers"),
        ("tokens", "Counts and the rest"),
        ("optimizer_steps", "Counts and the rest"),
        ("score_judge", "Reward"),
        ("judge_order_agreement", "The judge"),
        ("score_judge_ties", "The judge"),
        ("judge_tokens", "Tokens of the judge so far"),
        ("judge_cost", "Cost of the judge so far"),
    ],
)
def test_metrics_of_one_sort_share_a_panel(metric, panel):
    assert panel_of(metric) == panel


def test_long_curves_are_thinned_but_keep_their_end_and_their_rare_points():
    rows = [{"step": n, "loss": 1.0} for n in range(100_000)]
    rows[33_333]["eval_ranking_loss"] = 0.5
    kept = downsample(rows, 4000)
    assert len(kept) <= 4100
    assert kept[-1]["step"] == 99_999 and any("eval_ranking_loss" in row for row in kept)
