"""Who may call what of annotation: the allowed set is written down, and nothing else answers 2xx."""

import json
import uuid

import pytest
from django.urls import reverse

from annotation.adjudication.actions import return_judgment
from annotation.conversation.actions import send_message, start_conversation
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.making.queueing import MAKE_BATCH
from annotation.qualification.actions import (
    add_practice,
    change_training,
    create_training,
    submit_practice,
)
from annotation.questions.actions import ask_question
from annotation.queue.actions import claim_task
from annotation.writing.actions import claim_item, submit_text
from annotation.writing.works import open_work
from runs.actions import queue_run
from tests.annotation.conversation.live import make_live_batch
from tests.annotation.quality.reports import make_report
from workspace.actions import publish_guideline
from workspace.context import PEOPLE_PAGES, REVIEW_PAGES, SETTINGS_PAGES

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]
_ALSO_POSTED = (
    "settings", "asked_settings", "batch_from_answers", "known_answer", "adjudicate", "assigning",
    "member_work", "batch_audience", "new_live_batch", "new_writing_work", "compare_conversations",
)  # fmt: skip
EVERYBODY = {"annotator", "reviewer", "manager"}
# name -> (method, roles, what else the URL needs, body). "own": only whoever holds the assignment.
PAGES = {
    "overview": ("get", EVERYBODY, None, None),
    "annotate": ("get", EVERYBODY, None, None),
    "guideline": ("get", EVERYBODY, None, None),
    "own_history": ("get", EVERYBODY, None, None),
    "refresh_csrf": ("get", EVERYBODY, None, None),
    "settings": ("get", {"manager"}, None, None),
    "next_task": ("post", EVERYBODY, None, {}),
    "task": ("get", {"annotator"}, "own", None),
    "task_content": ("get", {"annotator"}, "own", None),
    "draft": ("post", {"annotator"}, "own", {"rationale": "x"}),
    "submit": ("post", {"annotator"}, "own", {"tiers": [["A"], ["B"]], "strengths": [1]}),
    "skip": ("post", {"annotator"}, "own", {}),
    "undo_skip": ("post", {"annotator"}, "own", {}),
    "withdraw": ("post", {"annotator"}, "answered", {}),
    "batches": ("get", {"reviewer", "manager"}, None, None),
    "batch": ("get", {"reviewer", "manager"}, "batch", None),
    "new_batch": ("get", {"manager"}, None, None),
    "batch_from_answers": ("get", {"manager"}, None, None),
    "batch_being_made": ("get", {"manager"}, "making", None),
    "batch_being_made_live": ("get", {"manager"}, "making", None),
    "judgment": ("get", {"reviewer", "manager"}, "judgment", None),
    "open_batch": ("post", {"manager"}, "batch", {}),
    "close_batch": ("post", {"manager"}, "batch", {}),
    "exclude_batch": ("post", {"manager"}, "batch", {}),
    "change_overlap": ("post", {"manager"}, "batch", {}),
    "ai_judges": ("get", {"reviewer", "manager"}, "batch", None),
    "batch_skips": ("get", {"reviewer", "manager"}, "batch", None),
    "batch_task": ("get", {"reviewer", "manager"}, "task", None),
    "queue": ("get", {"reviewer", "manager"}, None, None),
    "release_lease": ("post", {"manager"}, "lease", {}),
    "set_task_priority": ("post", {"manager"}, "task", {}),
    "ask_again": ("post", {"manager"}, "task", {}),
    "all_throughput": ("get", {"reviewer", "manager"}, None, None),
    "throughput": ("get", {"reviewer", "manager"}, "batch", None),
    "set_pay_rate": ("post", {"manager"}, None, {}),
    "work_done": ("get", {"reviewer", "manager"}, None, None),
    "asked_settings": ("get", {"manager"}, None, None),
    "ask": ("post", {"annotator"}, "own", {"text": "Which of the two is meant?"}),
    "opt_outs": ("post", EVERYBODY, None, {}),
    "set_warnings": ("post", {"manager"}, "batch", {}),
    "questions": ("get", {"reviewer", "manager"}, None, None),
    "answer_question": ("post", {"reviewer", "manager"}, "question", None),
    "quality": ("get", {"reviewer", "manager"}, None, None),
    "measure_again": ("post", {"manager"}, None, {}),
    "quality_annotators": ("get", {"reviewer", "manager"}, None, None),
    "quality_annotator": ("get", {"reviewer", "manager"}, "measured", None),
    "quality_pair": ("get", {"reviewer", "manager"}, "measured pair", None),
    "uncertain_tasks": ("get", {"reviewer", "manager"}, None, None),
    "leaderboard": ("get", {"manager"}, None, None),
    "disagreements": ("get", {"reviewer", "manager"}, None, None),
    "decisions": ("get", {"reviewer", "manager"}, None, None),
    "ask_one_more": ("post", {"manager"}, None, {}),
    "one_more_rule": ("post", {"manager"}, None, {}),
    "adjudicate": ("get", {"reviewer", "manager"}, "any task", None),
    "return_judgment": ("post", {"reviewer", "manager"}, "any judgment", None),
    "keep_judgment": ("post", {"annotator"}, "returned", None),
    "guideline_versions": ("get", {"reviewer", "manager"}, None, None),
    "guideline_version": ("get", {"reviewer", "manager"}, "version", None),
    "own_training": ("get", EVERYBODY, "training", None),
    "begin_training_try": ("post", EVERYBODY, "training", {}),
    "own_score": ("get", EVERYBODY, None, None),
    "feedback": ("get", {"annotator"}, "trained", None),
    "checks": ("get", {"manager"}, None, None),
    "set_checks": ("post", {"manager"}, None, {}),
    "make_known": ("post", {"manager"}, "required", {}),
    "known_answer": ("get", {"manager"}, "practice", None),
    "new_training": ("post", {"manager"}, None, {}),
    "training": ("get", {"manager"}, "training", None),
    "change_training": ("post", {"manager"}, "training", {}),
    "change_standing": ("post", {"manager"}, "training", {}),
    "require_training": ("post", {"manager"}, "required", {}),
    "preview_guideline": ("post", {"manager"}, None, {}),
    "ask_to_confirm": ("post", {"manager"}, "version", {}),
    "acknowledge": ("post", EVERYBODY, None, {"version": 1}),
    "take_back": ("post", {"annotator"}, "answered", {"key": "take-back-1"}),
    "confirm_guideline": ("post", EVERYBODY, None, {"version": "1"}),
    "assigning": ("get", {"manager"}, None, None),
    "member_work": ("get", {"manager"}, "member", None),
    "batch_audience": ("get", {"manager"}, "batch", None),
    "new_live_batch": ("get", {"manager"}, None, None),
    "live_batch": ("get", {"reviewer", "manager"}, "live", None),
    "compare_conversations": ("get", {"manager"}, "live", None),
    "live_conversation": ("get", {"reviewer", "manager"}, "talk", None),
    "conversations": ("get", EVERYBODY, None, None),
    "start_conversation": ("post", EVERYBODY, "live", {}),
    "conversation": ("get", {"annotator"}, "own talk", None),
    "conversation_state": ("post", {"annotator"}, "own talk", {}),
    "conversation_message": ("post", {"annotator"}, "own talk", {"text": "Hello", "number": 1}),
    "conversation_again": ("post", {"annotator"}, "own talk", {}),
    "conversation_one": ("post", {"annotator"}, "own talk", {}),
    "conversation_end": ("post", {"annotator"}, "own talk", {}),
    "writing": ("get", EVERYBODY, None, None),
    "begin_writing": ("post", EVERYBODY, "writing work", {}),
    "write": ("get", {"annotator"}, "own text", None),
    "send_writing": ("post", {"annotator"}, "own text", {}),
    "skip_writing": ("post", {"annotator"}, "own text", {}),
    "writing_draft": ("post", {"annotator"}, "own text", {"turns": ["x"], "draft_number": 0}),
    "writing_works": ("get", {"reviewer", "manager"}, None, None),
    "new_writing_work": ("get", {"manager"}, None, None),
    "writing_to_check": ("get", {"reviewer", "manager"}, None, None),
    "writing_work": ("get", {"reviewer", "manager"}, "writing work", None),
    "set_writing_state": ("post", {"manager"}, "writing work", {}),
    "writing_text": ("get", {"reviewer", "manager"}, "sent text", None),
    "review_writing": ("post", {"reviewer", "manager"}, "sent text", {}),
    "release_writing": ("post", {"manager"}, "sent text", {}),
}


def make_answered_training(project, manager, person):
    """A training of one task, which the person has answered; and that assignment."""
    batch = project.batches.get()
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    held = claim_task(actor=manager, project=project, batch=batch)
    judged = submit_judgment(
        actor=manager, assignment=held, content=content, idempotency_key=uuid.uuid4().hex
    )
    made = create_training(
        actor=manager, project=project, name="One", criterion=batch.criterion, items=1, needed=1
    )
    add_practice(actor=manager, training=made, judgments=[judged])
    change_training(actor=manager, training=made, is_on=True)
    own = claim_task(actor=person, project=project, batch=made.batch)
    submit_practice(actor=person, assignment=own, content=content, idempotency_key=uuid.uuid4().hex)
    return made, own


@pytest.fixture
def visitors(ada, ruth, max_, olga):
    return {"nobody": None, "annotator": ada, "reviewer": ruth, "manager": max_, "outsider": olga}


def test_every_url_of_annotation_is_in_the_table():
    import annotation.urls

    included = [pattern for part in annotation.urls.urlpatterns for pattern in part.url_patterns]
    assert {pattern.name for pattern in included} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_only_the_allowed_get_in(client, visitors, project, make_batch, ada, name):
    method, allowed, needs, body = PAGES[name]
    batch = make_batch(tasks=4)
    assignment = claim_task(actor=ada, project=project)
    kwargs = {"slug": project.slug}
    if needs in ("answered", "judgment", "any judgment", "returned"):
        judgment = submit_judgment(
            actor=ada,
            assignment=assignment,
            content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
            idempotency_key=uuid.uuid4().hex,
        )
    if needs in ("own", "answered"):
        kwargs["public_id"] = assignment.public_id
    if needs in ("batch", "task", "judgment"):
        kwargs["pk"] = batch.pk
    if needs == "any task":
        kwargs["pk"] = batch.tasks.first().pk
    if needs == "any judgment":
        kwargs["pk"] = judgment.pk
    if needs == "returned":
        returned = return_judgment(actor=visitors["reviewer"], judgment=judgment, remark="Look again.")
        kwargs["pk"] = returned.pk
    if needs == "making":
        kwargs["pk"] = queue_run(
            actor=visitors["manager"],
            project=project,
            kind=MAKE_BATCH,
            title="Make",
            config={},
            parameters={},
        ).pk
    if needs == "lease":
        kwargs["pk"] = assignment.pk
    if needs == "task":
        kwargs["task_pk"] = batch.tasks.first().pk
    if needs == "version":
        kwargs["version"] = publish_guideline(
            actor=visitors["manager"], project=project, text="Be kind."
        ).version
    if needs == "member":
        kwargs["pk"] = project.memberships.get(user=ada).pk
    if needs == "judgment":
        kwargs["judgment_pk"] = judgment.pk
    if needs in ("training", "trained", "practice"):
        training, answered = make_answered_training(project, visitors["manager"], ada)
        kwargs |= {
            "training": {"pk": training.pk},
            "trained": {"public_id": answered.public_id},
            "practice": {"task_pk": answered.task_id},
        }[needs]
    if needs == "required":
        kwargs["batch_pk"] = batch.pk
    if needs in ("live", "own talk", "talk"):
        live = make_live_batch(project, visitors["manager"]).live
        kwargs |= {} if needs == "own talk" else {"pk": live.batch_id}
        if needs != "live":
            talk = start_conversation(actor=ada, live=live)
            kwargs |= {"public_id": talk.public_id} if needs == "own talk" else {"conversation_pk": talk.pk}
        if name in ("conversation_again", "conversation_one"):
            turn = send_message(actor=ada, conversation=talk, text="Hello", number=1)
            turn.answers.filter(side=0).update(state="failed", error="It broke.")
            turn.answers.filter(side=1).update(state="done", text="Hello.")
    if needs in ("writing work", "own text", "sent text"):
        work = open_work(
            actor=visitors["manager"], project=project, name="Dialogues", kind="dialogue", items=9
        )
        text = claim_item(actor=ada, work=work)
        if needs == "writing work":
            kwargs["pk"] = work.pk
        elif needs == "own text":
            kwargs["public_id"] = text.public_id
        else:
            submit_text(actor=ada, item=text, turns=["Hello", "Hi."], key="a")
            kwargs["pk"] = text.pk
    if needs == "question":
        kwargs["pk"] = ask_question(actor=ada, assignment=assignment, text="Which?").pk
    if needs in ("measured", "measured pair"):
        report = make_report(project, visitors["manager"], [ada, visitors["reviewer"]])
        pair = report.annotator_pairs.get()
        kwargs |= {"pseudonym": ada.pseudonym} if needs == "measured" else {"pk": pair.pk}
    address = reverse(f"annotation:{name}", kwargs=kwargs)

    def call(verb):
        data = json.dumps((body or {}) | {"idempotency_key": uuid.uuid4().hex})
        return client.generic(verb.upper(), address, data, content_type="application/json").status_code

    for visitor in sorted(visitors, key=lambda visitor: visitor in allowed):
        client.logout()
        if visitors[visitor] is not None:
            client.force_login(visitors[visitor])
        # Every other verb first: refused, whoever asks (without a session, by the way to the login page).
        # Their POST: guidelines/test_views.py, review/test_uploads.py, qualification/test_views.py
        taken = {"get", "post"} if name in _ALSO_POSTED else {method}
        for verb in {"get", "post", "put", "patch", "delete"} - taken:
            assert call(verb) in ({302, 405} if visitor == "nobody" else {405})
        status = call(method)
        if visitor in allowed:
            redirects = (
                "open_batch",
                "close_batch",
                "exclude_batch",
                "new_batch",
                "change_overlap",
                "set_warnings",
                "opt_outs",
                "confirm_guideline",
                "take_back",
                "measure_again",
                "start_conversation",
                "release_lease",
                "set_task_priority",
                "ask_again",
                "return_judgment",
                "ask_one_more",
                "one_more_rule",
                "keep_judgment",
                "ask_to_confirm",
                "begin_training_try",
                "make_known",
                "change_standing",
                "require_training",
                "begin_writing",
                "set_writing_state",
                "release_writing",
            )
            # Without an answer, or without values, the page is shown again: questions/test_views.py and
            # qualification/test_views.py give them.
            unanswered = status == 422 and name in (
                "answer_question",
                "set_checks",
                "new_training",
                "change_training",
                "send_writing",
                "skip_writing",
            )
            # Pay may be left empty, but not without having seen what it is: review/test_throughput.py.
            unanswered = unanswered or (status == 409 and name == "set_pay_rate")
            unanswered = unanswered or (status == 404 and name == "review_writing")
            assert status in (200, 201) or (status == 302 and name in redirects) or unanswered
        else:
            assert status in ({302, 401} if visitor == "nobody" else {404})


def test_pages_that_are_not_for_annotators_stand_under_another_entry_than_annotate():
    others = {name for name, (method, who, *_) in PAGES.items() if method == "get" and "annotator" not in who}
    assert others - {*REVIEW_PAGES, *SETTINGS_PAGES, *PEOPLE_PAGES} == set()


def test_an_operator_without_a_role_is_an_outsider(client, make_user, project, make_batch):
    make_batch(tasks=1)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    for name in ("overview", "annotate", "batches"):
        assert client.get(reverse(f"annotation:{name}", kwargs={"slug": project.slug})).status_code == 404
