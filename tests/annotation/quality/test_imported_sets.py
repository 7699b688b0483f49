"""Crowds whose figures are known, brought in as files, measured, and read on the pages: simulated ones always,
published ones where their files are.
"""

import gzip
import html
import json
import random
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from django.urls import reverse

from annotation.importing.actions import import_comparisons
from annotation.quality.actions import measure_project
from tests.annotation.importing.conftest import SHARED_DATA, write_rows  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]

TULU = SHARED_DATA / "tulu1_graded_pairs_17_evaluators.jsonl.gz"
UKP = SHARED_DATA / "ukpconvarg1_pairs_4to5_workers.jsonl.gz"
UKP_TEXTS = SHARED_DATA / "ukpconvarg1_arguments.jsonl.gz"
LLMFAO = SHARED_DATA / "llmfao_crowd_judgements_124_workers.jsonl.gz"
LLMFAO_PROMPTS = SHARED_DATA / "llmfao_prompts.jsonl.gz"
LLMFAO_RESPONSES = SHARED_DATA / "llmfao_responses_kway_60plus_models.jsonl.gz"


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def record(task, prompt, answers, said, annotator):
    """A judgment of two answers [(id, text, policy)]; `said`: 2 the first is better, 1 slightly, 0 a tie, -1, -2."""
    ids = [answer for answer, _, _ in answers]
    tiers = [ids] if said == 0 else [[one] for one in (ids if said > 0 else ids[::-1])]
    return {
        "judgment_id": f"{task}/{annotator}", "task_id": task, "prompt": [{"role": "user", "content": prompt}],
        "prompt_id": prompt[:100], "is_current": True, "withdrawn": False, "surplus": False,
        "responses": [
            {"response_id": key, "text": text, "source": "policy", "policy": policy} for key, text, policy in answers
        ],
        "order_shown": ids, "tiers": tiers, "strengths": [abs(said)] * (said != 0), "annotator": annotator,
    }  # fmt: skip


def graded_crowd():
    """40 pairs of answers of two policies that two to four of five people grade, and some of them one alone."""
    rng = random.Random(7)
    for task in range(40):
        truth = rng.choice([-2, -1, 0, 1, 2])
        answers = [(f"{task}{side}", f"{side} {task}", f"policy-{side}") for side in "ab"]
        for annotator in rng.sample(range(5), rng.randint(1, 4)):
            said = truth if rng.random() < 0.6 else rng.choice([-2, -1, 0, 1, 2])
            # As in the published set either policy may stand first.
            turned = (task + annotator) % 2
            yield record(
                f"t{task}",
                f"Question {task}?",
                answers[::-1] if turned else answers,
                -said if turned else said,
                f"e{annotator}",
            )


def tulu():
    """As far as one can judge it: pairs of identical answers are left out, and who judged a pair again."""
    grades = {
        "a-is-better": 2,
        "a-is-slightly-better": 1,
        "tie": 0,
        "b-is-slightly-better": -1,
        "b-is-better": -2,
    }
    seen = set()
    for row in read(TULU):
        models = sorted([row["model_a"], row["model_b"]])
        task = f"{row['instance_id']}/{models[0]}/{models[1]}"
        if row["completion_a"].strip() == row["completion_b"].strip() or (task, row["evaluator"]) in seen:
            continue
        seen.add((task, row["evaluator"]))
        answers = [
            (f"{row['instance_id']}/{row[f'model_{side}']}", row[f"completion_{side}"], row[f"model_{side}"])
            for side in "ab"
        ]
        yield record(task, row["prompt"], answers, grades[row["preference"]], str(row["evaluator"]))


def alpha_by_enumeration(rows, level):
    """Krippendorff's alpha (2011), over all ordered pairs of values: 1 less observed by expected disagreement. Nominal:
    of better, tie and worse.
    """
    units = defaultdict(list)
    for row in rows:
        first, second = sorted(row["responses"], key=lambda response: response["policy"])
        placed = [key for tier in row["tiers"] for key in tier]
        sign = 1 if placed[0] == first["response_id"] else -1
        said = sign * row["strengths"][0] if row["strengths"] else 0
        units[row["task_id"]].append(np.sign(said) if level == "nominal" else said)
        assert {first["response_id"], second["response_id"]} == set(placed)
    units = [values for values in units.values() if len(values) > 1]
    counts = Counter(value for values in units for value in values)
    n, order = sum(counts.values()), sorted(counts)

    def apart(one, other):
        if level == "nominal":
            return float(one != other)
        low, high = sorted((one, other))
        between = sum(counts[value] for value in order if low <= value <= high)
        return (between - (counts[low] + counts[high]) / 2) ** 2 if low != high else 0.0

    observed = sum(
        apart(one, other) / (len(values) - 1) for values in units for one in values for other in values
    )
    expected = sum(counts[one] * counts[other] * apart(one, other) for one in order for other in order)
    return 1 - (observed / n) / (expected / (n * (n - 1)))


# (rows, the ordinal alpha that was published with them).
GRADED = [(graded_crowd, None)] + [(tulu, 0.41)] * TULU.is_file()


@pytest.fixture
def measured(client, project, max_, write_rows):  # noqa: F811
    """Import the rows, measure them, and return the report and a reader of pages."""

    def measured(rows, **options):
        import_comparisons(
            actor=max_, project=project, path=write_rows(rows), format="records", again=True, **options
        )
        report = measure_project(actor=max_, project=project)
        client.force_login(max_)

        def page(name, **query):
            return html.unescape(
                client.get(
                    reverse(f"annotation:{name}", kwargs={"slug": project.slug}), query
                ).content.decode()
            )

        return report, page

    return measured


@pytest.mark.parametrize(("rows", "published"), GRADED, ids=[rows.__name__ for rows, _ in GRADED])
def test_alpha_of_an_imported_set_is_that_of_its_file(measured, rows, published):
    rows = list(rows())
    report, page = measured(rows)
    assert report.judgments == len(rows)
    estimates = report.agreement.get(batch=None).figures["estimates"]
    for level in ("nominal", "ordinal"):
        assert estimates[f"alpha_{level}"][0] == pytest.approx(alpha_by_enumeration(rows, level), abs=1e-3)
    if published is not None:
        assert round(estimates["alpha_ordinal"][0], 2) == published
    assert "Krippendorff" in page("quality")
    assert f"{estimates['alpha_ordinal'][0]:.2f}" in page("quality")


def guessing_crowd(seed=3):
    """120 pairs of arguments, each by five of twelve people who know or guess: (rows, what share each knows)."""
    rng = random.Random(seed)
    knows = {f"w{n}": share for n, share in enumerate([0.95] * 4 + [0.6] * 3 + [0.05] * 5)}
    rows = []
    for task in range(120):
        truth = rng.choice([1, 0, -1])
        answers = [(f"{task}{side}", f"{side} {task}", "people") for side in "ab"]
        for annotator in rng.sample(sorted(knows), 5):
            said = truth if rng.random() < knows[annotator] else rng.choice([1, 0, -1])
            rows.append(record(f"t{task}", f"Topic {task}", answers, said, annotator))
    return rows, knows


def ukp(people=60):
    """The pairs that five of those judged who judged most: (rows, the competences that were published of all pairs)."""
    texts = {row["id"]: row["text"] for row in read(UKP_TEXTS)}
    pairs = read(UKP)
    judged = Counter(worker for pair in pairs for worker, _, _ in pair["judgements"])
    chosen = {worker for worker, _ in judged.most_common(people)}
    rows, published = [], {}
    for pair in pairs:
        if sum(worker in chosen for worker, _, _ in pair["judgements"]) < 5:
            continue
        if texts[pair["arg1"]].strip() == texts[pair["arg2"]].strip():
            continue
        answers = [
            (f"{pair['topic']}/{pair[side]}", texts[pair[side]], "people") for side in ("arg1", "arg2")
        ]
        for worker, value, competence in pair["judgements"]:
            said = {"a1": 1, "equal": 0, "a2": -1}[value]
            rows.append(record(pair["uid"], pair["topic"], answers, said, worker))
            published[worker] = competence
    return rows, published


# (rows, judgments of an annotator at least, correlation at least, the largest mean difference).
RELIABILITY = [(guessing_crowd, 1, 0.9, 0.15)] + [(ukp, 20, 0.7, 0.1)] * UKP.is_file()


@pytest.mark.parametrize(
    ("made", "least", "correlation", "difference"),
    RELIABILITY,
    ids=[made.__name__ for made, *_ in RELIABILITY],
)
def test_the_page_has_the_competences_of_an_imported_crowd(measured, made, least, correlation, difference):
    rows, known = made()
    _, page = measured(rows)
    judged = Counter(row["annotator"] for row in rows)
    shown = {}
    number = 0
    while len(shown) < len(judged):
        number += 1
        # As a table of the page: the name, and the percent in the column of MACE.
        text = page("quality_annotators", page=number)
        place = re.findall(r'<th scope="col"[^>]*>([^<]*)', text).index("Competence (MACE)")
        body = text.split("<tbody>")[1].split("</tbody>")[0]
        for line in body.split("<tr>")[1:]:
            cells = [re.sub("<[^>]*>", "", cell).strip() for cell in re.split("</t[hd]>", line)]
            shown[cells[0]] = cells[place]
    pairs = [
        (float(figure.split()[0]) / 100, known[name])
        for name, figure in shown.items()
        if judged[name] >= least
    ]
    found, expected = np.array(pairs).T
    assert len(pairs) >= 10
    assert np.corrcoef(found, expected)[0, 1] >= correlation
    assert np.abs(found - expected).mean() <= difference


def ordered_policies():
    """Eight policies, each better than the next, compared by three people a pair."""
    rng = random.Random(5)
    for task in range(150):
        one, other = rng.sample(range(8), 2)
        answers = [(f"{task}/{n}", f"{n} says {task}", f"policy {n}") for n in (one, other)]
        for annotator in range(3):
            difference = (other - one) * 0.9 + rng.gauss(0, 1.5)
            said = 0 if abs(difference) < 0.4 else (1 if difference > 0 else -1)
            yield record(f"t{task}", f"Question {task}?", answers, said, f"e{annotator}")


def llmfao():
    """Of the first three prompts."""
    prompts = {row["id"]: row["text"] for row in read(LLMFAO_PROMPTS)}
    texts = {(row["prompt"], row["model"]): row["result"] for row in read(LLMFAO_RESPONSES)}
    judged = read(LLMFAO)
    first = sorted({row["prompt_id"] for row in judged})[:3]
    for row in judged:
        if row["prompt_id"] not in first:
            continue
        answers = [
            (f"{row['prompt_id']}/{row[model]}", texts[row["prompt_id"], row[model]], row[name])
            for model, name in (("model_x", "left"), ("model_y", "right"))
        ]
        if not all(text.strip() for _, text, _ in answers) or answers[0][1].strip() == answers[1][1].strip():
            continue
        said = {"left": 1, "tie": 0, "right": -1}[row["winner"]]
        yield record(str(row["pair_id"]), prompts[row["prompt_id"]], answers, said, str(row["worker"]))


LEADERBOARDS = [ordered_policies] + [llmfao] * LLMFAO.is_file()


@pytest.mark.parametrize("rows", LEADERBOARDS, ids=[rows.__name__ for rows in LEADERBOARDS])
def test_the_page_has_the_leaderboard_of_an_imported_set(measured, rows):
    rows = list(rows())
    _, page = measured(rows)
    results, seen = defaultdict(Counter), set()
    for row in rows:
        if (key := (row["task_id"], row["annotator"])) in seen:
            continue
        seen.add(key)
        policy = {response["response_id"]: response["policy"] for response in row["responses"]}
        for place, tier in enumerate(row["tiers"]):
            for answer in tier:
                results[policy[answer]]["tied" if len(row["tiers"]) == 1 else ("won", "lost")[place]] += 1
    lines = re.findall(
        r'class="bar-label"[^>]*>(\d+)\. (.*?)</span>.*?(\d+) won, (\d+) tied, (\d+) lost',
        page("leaderboard"),
        re.S,
    )
    assert [int(rank) for rank, *_ in lines] == list(range(1, len(results) + 1))
    assert {name: [int(n) for n in counts] for _, name, *counts in lines} == {
        name: [count["won"], count["tied"], count["lost"]] for name, count in results.items()
    }
    share = [
        (results[name]["won"] + results[name]["tied"] / 2) / results[name].total() for _, name, *_ in lines
    ]
    # Of sets in which each meets all others about equally often, the order is nearly that of the shares won.
    ranks = np.argsort(np.argsort(-np.array(share)))
    assert np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] > 0.9
