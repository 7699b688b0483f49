"""A small report, stored as the worker stores it."""

from annotation.models import Judgment
from annotation.quality.actions import store_report
from annotation.quality.measuring import AgreementRow, AnnotatorPairRow, ConsensusRow, Measures

SHARE = [0.6, 0.4, 0.8]
AGREEMENT = {
    "tasks": 6, "judgments": 12, "annotators": 2, "pairs": 6, "votes": 12, "compared": 6, "graded": 8,
    "tau_b": [0.3, -0.1, 0.7],
    "estimates": dict.fromkeys(("same", "same_grade", "alpha_nominal", "alpha_ordinal", "ac1", "ac2", "fleiss"), SHARE),
    "by_grade": [{"grade": 2, "said": 8, "same": 0.75}, {"grade": "tie", "said": 4, "same": 0.5}],
}  # fmt: skip
SOURCE = {"source": 1, "score": 0.5, "error": 0.2, "won": 4, "tied": 1, "lost": 2}
SUMMARY = {
    "kind": "person",
    "bands": {"person": {"others": [0.4, 0.6, 0.8, 12], "side": [-0.2, 0.1, 0.4, 12]}},
    "leaderboard": {
        "sources": [SOURCE | {"name": "a-policy-with-a-long-name"}, SOURCE | {"name": "base", "score": -0.5}],
        "left_out": 0,
        "side": 0.1,
        "side_error": 0.05,
    },
}


def make_report(project, actor, annotators, apart=()):
    one, other = sorted(person.pk for person in annotators)
    figures = {
        "judgments": 6,
        "votes": 6,
        "seconds": 2.0,
        "others": [0.5, 0.2, 0.8, 10],
        "side": [0.1, -0.2, 0.4],
    }
    measures = Measures(
        agreement=[AgreementRow(None, "person", AGREEMENT)],
        annotators={person.pk: figures for person in annotators},
        annotator_pairs=[AnnotatorPairRow(one, other, 10, 5, 0.1, 0.2, [list(task) for task in apart])],
        consensus=[ConsensusRow(task, 2, 0.1, []) for _, task in apart],
        summary=SUMMARY
        | {"machines": [{"annotator": one, "kind": "ai", "pairs": 6, "same": SHARE, "people": 0.7}]},
    )
    newest = Judgment.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return store_report(
        actor=actor,
        project=project,
        run=None,
        judgments=1,
        newest_judgment=newest,
        measures={project.criteria.get().pk: measures},
    )
