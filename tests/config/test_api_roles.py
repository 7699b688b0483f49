"""Who may call what of the API: the allowed set is written down for every operation, and nothing else answers 2xx."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from tests.config import api_world
from workspace.actions import create_project
from workspace.members import invite
from workspace.tokens.actions import create_token

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

MANAGERS = {"manager", "manager's token", "manager's reading token"}
REVIEWERS = MANAGERS | {"reviewer"}
MEMBERS = REVIEWERS | {"annotator", "manager's annotating token"}
SCORERS = MANAGERS | {"manager's scoring token"}
LOGGED_IN = MEMBERS | {
    "manager's scoring token",
    "outsider",
    "manager of another project",
    "token of another project",
}
# Whatever else somebody may, with a token that only reads they change nothing.
READING = {"manager's reading token"}


@dataclass(frozen=True)
class Row:
    """An operation below /api/v1/; {names} of its address and body are those of the world below."""

    method: str
    address: str
    allowed: frozenset[str]
    body: Any
    status: int


def row(method, address, allowed, body=None, status=None):
    allowed = set(allowed) if method == "GET" else set(allowed) - READING
    return Row(method, address, frozenset(allowed), body, status or (201 if method == "POST" else 200))


P = "projects/{slug}"
ORDER = {"tiers": [["B"], ["A"]], "strengths": [2]}
NEW_TASK = {
    "messages": [{"role": "user", "content": "Coffee?"}],
    "responses": [{"text": "Black.", "source": "one"}, {"text": "White.", "source": "two"}],
}
ROUND = {"preset": "tiny", "criterion": "helpful", "start_policy": "{policy}", "prompt_set": "{prompt_set}"}
TRAINING = {"name": "taste", "start_policy": "{policy}", "dataset": "{trainable}"}
PREFERRED = {"name": "liked", "start": "{policy}", "dataset": "{trainable}"}
REWARDED = {
    "name": "rewarded",
    "start": "{policy}",
    "reward_model": "{reward_model}",
    "prompt_set": "{prompt_set}",
}
SAMPLING = {"prompt_set": "{prompt_set}", "policies": ["{policy}"], "settings": {"samples_per_prompt": 2}}
MEASURED = {"dataset": "{trainable}", "split": "train"}
SUMS = '{"task": "sums", "kind": "generation", "prompt": "2 + 2?", "answer": "4"}'
COMPARED = {"reward_model": 999_999, "prompt_set": 999_999}
SCORED = {"reward_model": "{reward_model}", "prompt_set": "{prompt_set}", "prompts": 3}
HERE = {"name": "From answers", "prompt_set": "{prompt_set}", "skip_asked": False}
SIDES = [{"policy": api_world.SECRET_SOURCE}, {"policy": api_world.SECRET_SOURCE, "temperature": 1.5}]
FILE = b'{"messages": [{"role": "user", "content": "Cake?"}]}\n'
PUSH = {"repository": "kitchen/tea", "dry_run": True}
TABLE = [
    row("GET", "me", LOGGED_IN),
    row("GET", "projects", LOGGED_IN),
    row("POST", "projects", set(), {"name": "Attic"}),  # operators: test_operators_create_projects
    row("GET", P, MEMBERS),
    row("PATCH", P, MANAGERS, {"time_zone": "Europe/Paris"}),
    row("GET", f"{P}/criteria", MEMBERS),
    row("POST", f"{P}/criteria", MANAGERS, {"name": "harmless", "question": "Which is less harmful?"}),
    row("GET", f"{P}/question-settings", REVIEWERS),
    row("POST", f"{P}/question-settings", MANAGERS, {"allow_ties": False, "ask_rationale": True}),
    row("GET", f"{P}/guidelines", MEMBERS),
    row("POST", f"{P}/guidelines", MANAGERS, {"text": "Be kind."}),
    row("GET", f"{P}/audit", MANAGERS),
    row("GET", f"{P}/members", MANAGERS),
    row("GET", f"{P}/members/{{member}}", MANAGERS),
    row("PATCH", f"{P}/members/{{member}}", MANAGERS, {"role": "reviewer"}),
    row("DELETE", f"{P}/members/{{member}}", MANAGERS, status=204),
    row("GET", f"{P}/events", REVIEWERS),
    row("GET", f"{P}/webhooks", MANAGERS),
    row("POST", f"{P}/webhooks", MANAGERS, {"url": "https://receiver.example/new", "kinds": ["round"]}),
    row("GET", f"{P}/webhooks/{{webhook}}", MANAGERS),
    row("PATCH", f"{P}/webhooks/{{webhook}}", MANAGERS, {"kinds": ["judgment"], "is_on": False}),
    row("DELETE", f"{P}/webhooks/{{webhook}}", MANAGERS, status=204),
    row("POST", f"{P}/webhooks/{{webhook}}/secret", MANAGERS),
    row("POST", f"{P}/webhooks/{{webhook}}/test", MANAGERS, status=204),
    row("GET", f"{P}/deliveries", MANAGERS),
    row("GET", f"{P}/deliveries/{{dead_delivery}}", MANAGERS),
    row("POST", f"{P}/deliveries/{{waiting_delivery}}/try-now", MANAGERS, status=200),
    row("POST", f"{P}/deliveries/{{waiting_delivery}}/give-up", MANAGERS, status=200),
    row("POST", f"{P}/deliveries/{{dead_delivery}}/resend", MANAGERS, status=200),
    row("POST", f"{P}/deliveries/{{dead_delivery}}/drop", MANAGERS, status=200),
    row("GET", f"{P}/invitations", MANAGERS),
    row("POST", f"{P}/invitations", MANAGERS, {"role": "annotator"}),
    row("GET", f"{P}/invitations/{{invitation}}", MANAGERS),
    row("DELETE", f"{P}/invitations/{{invitation}}", MANAGERS, status=204),
    row("GET", f"{P}/prompts", REVIEWERS),
    row("POST", f"{P}/prompts", MANAGERS, {"rows": [{"messages": [{"role": "user", "content": "Tea?"}]}]}),
    row("GET", f"{P}/prompts/{{prompt}}", REVIEWERS),
    row("GET", f"{P}/prompt-sets", REVIEWERS),
    row("GET", f"{P}/prompt-sets/{{prompt_set}}", REVIEWERS),
    # Whose they are is in them.
    row("GET", f"{P}/responses", MANAGERS),
    row(
        "POST",
        f"{P}/responses",
        MANAGERS,
        {"rows": [{"prompt_id": "{prompt_id}", "text": "Yes.", "source": "somebody"}]},
    ),
    row("GET", f"{P}/responses/{{response}}", MANAGERS),
    row("GET", f"{P}/demonstrations", REVIEWERS),
    row(
        "POST", f"{P}/demonstrations", MANAGERS, {"rows": [{"prompt_id": "{prompt_id}", "response": "Yes."}]}
    ),
    row("GET", f"{P}/demonstrations/{{demonstration}}", REVIEWERS),
    row("GET", f"{P}/batches", REVIEWERS),
    row("POST", f"{P}/batches", MANAGERS, {"name": "By a program", "tasks": [NEW_TASK], "open": True}),
    row("POST", f"{P}/batches/from-answers", MANAGERS, HERE),
    row("POST", f"{P}/live-batches/compare", MANAGERS, {"name": "Whole", "least_turns": 1}),
    row("GET", f"{P}/live-batches", REVIEWERS),
    row("POST", f"{P}/live-batches", MANAGERS, {"name": "Talk more", "quota": 2, "sides": SIDES}),
    row("GET", f"{P}/live-batches/{{live}}", REVIEWERS),
    row("GET", f"{P}/live-batches/{{live}}/conversations", REVIEWERS),
    row("GET", f"{P}/live-batches/{{live}}/conversations/{{talk}}", REVIEWERS),
    row("GET", f"{P}/own-conversations", MEMBERS),
    row("POST", f"{P}/own-conversations", MEMBERS, {"batch": "{live}"}),
    row("GET", f"{P}/own-conversations/to-lead", MEMBERS),
    row("POST", f"{P}/own-conversations/{{own_talk}}/state", {"annotator"}, status=200),
    row("POST", f"{P}/own-conversations/{{own_talk}}/messages", {"annotator"}, {"text": "Tea?", "number": 1}),
    row("POST", f"{P}/own-conversations/{{failed_talk}}/ask-again", {"annotator"}, status=200),
    row("POST", f"{P}/own-conversations/{{failed_talk}}/go-on-with-one", {"annotator"}, status=200),
    row("POST", f"{P}/own-conversations/{{own_talk}}/end", {"annotator"}, status=200),
    row("GET", f"{P}/batches/{{batch}}", REVIEWERS),
    row("GET", f"{P}/batches/{{batch}}/skips", REVIEWERS),
    row("GET", f"{P}/batches/{{batch}}/throughput", REVIEWERS),
    row("GET", f"{P}/pay-rate", MANAGERS),
    row("PUT", f"{P}/pay-rate", MANAGERS, {"unit": "hour", "amount": "18.50", "currency": "EUR"}),
    row("PATCH", f"{P}/batches/{{batch}}", MANAGERS, {"overlap": 2}),
    row("POST", f"{P}/batches/{{batch}}/tasks", MANAGERS, {"tasks": [NEW_TASK]}),
    *(
        row("POST", f"{P}/batches/{{batch}}/{verb}", MANAGERS, status=200)
        for verb in ("open", "close", "exclude", "include")
    ),
    row("GET", f"{P}/tasks", REVIEWERS),
    row("GET", f"{P}/tasks/{{task}}", REVIEWERS),
    row("PATCH", f"{P}/tasks/{{task}}", MANAGERS, {"priority": 3}),
    row("POST", f"{P}/tasks/{{task}}/ask-one-more", MANAGERS, {}, 200),
    row("GET", f"{P}/queue/leases", REVIEWERS),
    row("POST", f"{P}/queue/leases/{{lease}}/release", MANAGERS, status=204),
    row("GET", f"{P}/queue/stuck-tasks", REVIEWERS),
    row("POST", f"{P}/claim", MEMBERS, {}, 200),
    row("GET", f"{P}/assignments", MEMBERS),
    # An assignment is one person's.
    row("GET", f"{P}/assignments/{{held}}", {"annotator"}),
    row("PUT", f"{P}/assignments/{{held}}/draft", {"annotator"}, {"rationale": "so far"}, 204),
    row("POST", f"{P}/assignments/{{held}}/submit", {"annotator"}, ORDER),
    row("POST", f"{P}/assignments/{{held}}/skip", {"annotator"}, {}, 204),
    row("GET", f"{P}/assignments/{{held}}/questions", {"annotator"}),
    row("POST", f"{P}/assignments/{{held}}/questions", {"annotator"}, {"text": "Which one is meant?"}),
    row("GET", f"{P}/content-opt-outs", MEMBERS),
    row("PUT", f"{P}/content-opt-outs", MEMBERS, {"names": []}, 200),
    row("GET", f"{P}/members/{{member}}/work", MANAGERS),
    row("PATCH", f"{P}/members/{{member}}/work", MANAGERS, {"groups": ["experts"], "daily_limit": 9}),
    row("GET", f"{P}/batches/{{batch}}/audience", MANAGERS),
    row("PATCH", f"{P}/batches/{{batch}}/audience", MANAGERS, {"people": ["ada"], "priority": 2}),
    row("GET", f"{P}/daily-limit", MANAGERS),
    row("PUT", f"{P}/daily-limit", MANAGERS, {"daily_limit": 50}, 200),
    row("GET", f"{P}/guidelines/confirmation", MANAGERS),
    row("PUT", f"{P}/guidelines/confirmation", MANAGERS, {"version": 1}, 200),
    row("PUT", f"{P}/guidelines/confirm", MEMBERS, {"version": 1}, 200),
    row("GET", f"{P}/questions", REVIEWERS),
    row("POST", f"{P}/questions/{{question}}/answer", REVIEWERS, {"answer": "The first."}, 200),
    row("POST", f"{P}/assignments/{{skipped}}/undo-skip", {"annotator"}, None, 200),
    row("POST", f"{P}/assignments/{{judged}}/revise", {"annotator"}, ORDER),
    row("POST", f"{P}/assignments/{{judged}}/withdraw", {"annotator"}),
    row("GET", f"{P}/checks", MANAGERS),
    row("PATCH", f"{P}/checks", MANAGERS, {"gold_share": 0.05, "repeat_share": 0.04}),
    row("GET", f"{P}/quality", REVIEWERS),
    row("POST", f"{P}/quality/measure", MANAGERS),
    row("GET", f"{P}/quality/annotators", REVIEWERS),
    row("GET", f"{P}/quality/tasks", REVIEWERS),
    row("GET", f"{P}/quality/leaderboard", MANAGERS),
    row("POST", f"{P}/quality/ask-one-more", MANAGERS, {"most": 3}, 200),
    row("GET", f"{P}/quality/one-more-rule", MANAGERS),
    row("PUT", f"{P}/quality/one-more-rule", MANAGERS, {"most": 3}, 200),
    row("GET", f"{P}/tasks/{{decided}}/decision", REVIEWERS),
    row("POST", f"{P}/tasks/{{decided}}/decision", REVIEWERS, ORDER | {"kind": "slip"}),
    row("GET", f"{P}/decisions", REVIEWERS),
    row("POST", f"{P}/judgments/{{judgment}}/return", REVIEWERS, {"remark": "Look again."}),
    row("GET", f"{P}/returned-judgments", REVIEWERS),
    row("GET", f"{P}/returned-judgments/own", MEMBERS),
    row("POST", f"{P}/returned-judgments/{{returned}}/keep", {"annotator"}, {}, 200),
    row("POST", f"{P}/known-tasks", MANAGERS, {"judgments": ["{judgment}"]}),
    row("GET", f"{P}/known-tasks/{{known}}", MANAGERS),
    row(
        "PUT",
        f"{P}/known-tasks/{{known}}",
        MANAGERS,
        {"tiers": [["{known_b}"], ["{known_a}"]], "strengths": [2], "also_right": []},
        200,
    ),
    row("GET", f"{P}/trainings", MANAGERS),
    row("POST", f"{P}/trainings", MANAGERS, {"name": "Another"}),
    row("GET", f"{P}/trainings/{{training}}", MANAGERS),
    row("PATCH", f"{P}/trainings/{{training}}", MANAGERS, {"needed": 3}),
    row("GET", f"{P}/trainings/{{training}}/qualifications", MANAGERS),
    row("POST", f"{P}/trainings/{{training}}/let-through", MANAGERS, {"person": "{pseudonym}"}, 200),
    row("POST", f"{P}/trainings/{{training}}/ask-again", MANAGERS, {"person": "{pseudonym}"}, 200),
    row("POST", f"{P}/trainings/{{training}}/try", {"annotator"}, None, 200),
    row("PUT", f"{P}/batches/{{batch}}/required-training", MANAGERS, {"training": None}, 204),
    row("GET", f"{P}/work", REVIEWERS),
    row("GET", f"{P}/writing", REVIEWERS),
    row("POST", f"{P}/writing", MANAGERS, {"name": "Talks", "kind": "dialogue", "items": 2}),
    row("GET", f"{P}/writing/{{writing}}", REVIEWERS),
    row("POST", f"{P}/writing/{{writing}}/open", MANAGERS, status=200),
    row("POST", f"{P}/writing/{{writing}}/close", MANAGERS, status=200),
    row("POST", f"{P}/writing/{{writing}}/claim", MEMBERS, status=200),
    row("GET", f"{P}/writing/to-write", MEMBERS),
    row("GET", f"{P}/writing/texts", REVIEWERS),
    row("GET", f"{P}/writing/texts/{{sent_text}}", REVIEWERS),
    row("POST", f"{P}/writing/texts/{{sent_text}}/review", REVIEWERS, {"version": 1, "outcome": "accept"}),
    row("POST", f"{P}/writing/texts/{{text_key}}/release", MANAGERS, status=204),
    row("GET", f"{P}/own-texts", MEMBERS),
    # A text is one person's; but what somebody sends who held it once is kept.
    row("GET", f"{P}/own-texts/{{text}}", {"annotator"}),
    row("PUT", f"{P}/own-texts/{{text}}/draft", {"annotator"}, {"turns": ["So"], "draft_number": 0}),
    row("POST", f"{P}/own-texts/{{text}}/submit", {"annotator"}, {"turns": ["So it is."]}),
    row("POST", f"{P}/own-texts/{{text}}/skip", {"annotator"}, {"reason": "Not mine."}, 204),
    row("GET", f"{P}/judgments", REVIEWERS),
    row("GET", f"{P}/judgments/rows", MANAGERS),
    row("GET", f"{P}/judgments/{{judgment}}", REVIEWERS),
    row("GET", f"{P}/datasets", REVIEWERS),
    row("POST", f"{P}/datasets", MANAGERS, {"name": "frozen by a program"}),
    row("GET", f"{P}/datasets/{{dataset}}", REVIEWERS),
    row("GET", f"{P}/datasets/{{dataset}}/files", MANAGERS),
    row("GET", f"{P}/datasets/{{dataset}}/files/manifest.json", MANAGERS),
    row("GET", f"{P}/datasets/{{dataset}}/rows", MANAGERS),
    row("PATCH", f"{P}/datasets/{{dataset}}", MANAGERS, {"licence": "mit"}, 200),
    row("GET", f"{P}/datasets/{{dataset}}/archive", MANAGERS),
    row("POST", f"{P}/datasets/{{dataset}}/push", MANAGERS, PUSH),
    row("GET", f"{P}/imports", REVIEWERS),
    row("GET", f"{P}/imports/{{import}}", REVIEWERS),
    row("GET", f"{P}/imports/{{import}}/bad-rows", REVIEWERS),
    row("POST", f"{P}/imports/{{import}}/take-back", MANAGERS, status=200),
    row("GET", f"{P}/uploads", MANAGERS),
    row("POST", f"{P}/uploads", MANAGERS, {"name": "prompts.jsonl", "size": 10}),
    # The manager's own, by whatever of theirs may manage.
    row("POST", f"{P}/uploads/from-hub", MANAGERS, {"dataset": "kitchen/tea"}, 400),  # no operator allows it
    row("GET", f"{P}/uploads/{{upload}}", MANAGERS),
    row("DELETE", f"{P}/uploads/{{upload}}", MANAGERS, status=204),
    row("PUT", f"{P}/uploads/{{upload}}/pieces?offset=0", MANAGERS, FILE, 200),
    row("POST", f"{P}/uploads/{{sent}}/import", MANAGERS, {"kind": "prompts", "format": "records"}, 200),
    row("GET", f"{P}/runs", REVIEWERS),
    row("GET", f"{P}/runs/{{run}}", REVIEWERS),
    row("GET", f"{P}/runs/{{run}}/metrics", REVIEWERS),
    row("GET", f"{P}/runs/{{run}}/result", REVIEWERS),
    row("GET", f"{P}/runs/{{run}}/files/log.txt", REVIEWERS),
    row("PATCH", f"{P}/runs/{{run}}", MANAGERS, {"time_limit_minutes": 90}, 200),
    row("POST", f"{P}/runs/{{waiting_run}}/cancel", MANAGERS, status=200),
    row("POST", f"{P}/runs/{{failed_run}}/resume", MANAGERS, status=200),
    row("POST", f"{P}/runs/{{paused_run}}/end", MANAGERS, status=200),
    row("POST", f"{P}/runs/{{run}}/clone", MANAGERS),
    row("GET", f"{P}/reward-models", REVIEWERS),
    row("GET", f"{P}/reward-models/{{reward_model}}", REVIEWERS),
    row("PATCH", f"{P}/reward-models/{{reward_model}}", MANAGERS, {"licence": "mit"}, 200),
    row("GET", f"{P}/reward-models/{{reward_model}}/archive", MANAGERS),
    row("POST", f"{P}/reward-models/{{reward_model}}/push", MANAGERS, PUSH),
    row("GET", f"{P}/reward-models/presets", REVIEWERS),
    row("POST", f"{P}/reward-models/train", MANAGERS, TRAINING),
    row(
        "POST",
        f"{P}/reward-model-trainings/adopt",
        MANAGERS,
        {"run": "{run}", "step": 2, "name": "early"},
        400,
    ),
    # They change nothing, so that a token that reads may. No worker is there that could load the model.
    *(
        Row("POST", f"{P}/reward-models/{{reward_model}}/{verb}", frozenset(SCORERS), body, 503)
        for verb, body in (
            ("score", {"messages": [{"role": "user", "content": "Tea?"}], "responses": ["Yes."]}),
            ("score-rendered", {"query": ["Tea?Yes."], "prompts": ["Tea?"]}),
        )
    ),
    row("GET", f"{P}/reward-models/{{reward_model}}/serving", REVIEWERS),
    row("POST", f"{P}/reward-models/{{reward_model}}/serving/start", MANAGERS, status=200),
    row("POST", f"{P}/reward-models/{{served_model}}/serving/stop", MANAGERS, status=200),
    row("GET", f"{P}/policies", REVIEWERS),
    row("GET", f"{P}/policies/presets", REVIEWERS),
    # No PPO run: refused after the caller was let in.
    row("POST", f"{P}/policy-trainings/adopt", MANAGERS, {"run": "{run}", "step": 2, "name": "early"}, 400),
    row("POST", f"{P}/policies/fine-tune", MANAGERS, {"name": "tuned", "start": "{policy}"}),
    row("POST", f"{P}/policy-trainings/dpo", MANAGERS, PREFERRED),
    row("GET", f"{P}/policy-trainings/dpo/presets", REVIEWERS),
    row("POST", f"{P}/policy-trainings/ppo", MANAGERS, REWARDED),
    row("GET", f"{P}/policy-trainings/ppo/presets", REVIEWERS),
    row("POST", f"{P}/policy-trainings/policy-gradient", MANAGERS, REWARDED),
    row("GET", f"{P}/policy-trainings/policy-gradient/presets", REVIEWERS),
    row("POST", f"{P}/policy-trainings/best-of-n", MANAGERS, REWARDED | {"samplers": ["{policy}"]}),
    row("GET", f"{P}/policy-trainings/best-of-n/presets", REVIEWERS),
    row("GET", f"{P}/policy-trainings/chained", REVIEWERS),
    row("GET", f"{P}/policy-trainings/chained/{{chained}}", REVIEWERS),
    row("POST", f"{P}/policy-trainings/chained/{{chained}}/cancel", MANAGERS, status=200),
    row("POST", f"{P}/policy-trainings/chained/{{refused_training}}/retry", MANAGERS, status=200),
    row("POST", f"{P}/policy-trainings/merge", MANAGERS, {"name": "merged", "policies": ["{policy}"]}),
    row("POST", f"{P}/policies/pretrain", MANAGERS, {"name": "read", "learn_from": "demonstrations"}),
    row("POST", f"{P}/policies/sample", MANAGERS, SAMPLING),
    row("GET", f"{P}/reward-models/{{reward_model}}/evaluations", REVIEWERS),
    row("POST", f"{P}/reward-models/{{reward_model}}/evaluations", MANAGERS, MEASURED),
    row("GET", f"{P}/policies/{{policy}}/evaluations", REVIEWERS),
    row("POST", f"{P}/policies/{{policy}}/evaluations", MANAGERS, SCORED),
    row("GET", f"{P}/policy-comparisons", REVIEWERS),
    row("GET", f"{P}/policy-comparisons/{{comparison}}", REVIEWERS),
    # No such models: refused after the caller was let in.
    row("POST", f"{P}/policy-comparisons", MANAGERS, COMPARED | {"policy": 999_999}, 400),
    row("POST", f"{P}/policy-comparisons/along", MANAGERS, COMPARED | {"run": "{run}"}, 400),
    row("GET", f"{P}/policy-selections", REVIEWERS),
    # Nothing to choose from: refused after the caller was let in.
    row("POST", f"{P}/policy-selections", MANAGERS, {"rule": "best_reward"}, 400),
    row("POST", f"{P}/selected-policy", MANAGERS, {"policy": "{policy}"}, 200),
    row("GET", f"{P}/selected-policy", REVIEWERS),
    row("DELETE", f"{P}/selected-policy", MANAGERS, status=204),
    row("GET", f"{P}/ai-judgings", REVIEWERS),
    # No such server: refused after the caller was let in.
    row("POST", f"{P}/ai-judgings", MANAGERS, {"batch": 999_999, "server": "x", "model": "m"}, 400),
    row("GET", f"{P}/benchmark-files", REVIEWERS),
    row("POST", f"{P}/benchmark-files", MANAGERS, {"name": "sums", "content": SUMS}),
    row("GET", f"{P}/policies/{{policy}}/benchmarks", REVIEWERS),
    # No such file: refused after the caller was let in.
    row("POST", f"{P}/policies/{{policy}}/benchmarks", MANAGERS, {"file": 999_999}, 400),
    # Refused by the settings (400), which allow no model, after the caller was let in.
    row("POST", f"{P}/policies/import", MANAGERS, {"name": "taken in", "source": "/etc"}, 400),
    row("GET", f"{P}/policies/{{policy}}", REVIEWERS),
    row("PATCH", f"{P}/policies/{{policy}}", MANAGERS, {"licence": "mit"}, 200),
    row("GET", f"{P}/policies/{{policy}}/archive", MANAGERS),
    row("POST", f"{P}/policies/{{policy}}/push", MANAGERS, PUSH),
    row("GET", f"{P}/policies/{{policy}}/serving", REVIEWERS),
    row("POST", f"{P}/policies/{{policy}}/serving/start", MANAGERS, status=200),
    row("POST", f"{P}/policies/{{served_policy}}/serving/stop", MANAGERS, status=200),
    row("GET", f"{P}/first-steps", MANAGERS),
    row("GET", f"{P}/rounds", REVIEWERS),
    row("POST", f"{P}/rounds", MANAGERS, ROUND),
    row("GET", f"{P}/rounds/{{round}}", REVIEWERS),
    # These are refused by the state that the round is in (409), after the caller was let in.
    *(
        row("POST", f"{P}/rounds/{{round}}/{verb}", MANAGERS, {}, 409)
        for verb in ("end-annotation", "reopen-annotation", "retry", "cancel")
    ),
    row("POST", f"{P}/rounds/{{round}}/continue", MANAGERS),
    row("GET", f"{P}/schedules", REVIEWERS),
    row(
        "POST",
        f"{P}/schedules",
        MANAGERS,
        ROUND | {"trigger": "weekly", "weekday": 0, "time_of_day": "09:00"},
    ),
    row("GET", f"{P}/schedules/{{schedule}}", REVIEWERS),
    row("DELETE", f"{P}/schedules/{{schedule}}", MANAGERS, status=204),
    row("POST", f"{P}/schedules/{{schedule}}/pause", MANAGERS, status=200),
    row("POST", f"{P}/schedules/{{schedule}}/resume", MANAGERS, status=200),
    row("POST", f"{P}/firings/{{failed_firing}}/retry", MANAGERS, status=200),
    row("POST", f"{P}/firings/{{waiting_firing}}/drop", MANAGERS, status=200),
]


@pytest.fixture
def world(project, max_, ada):
    """What the addresses of the table name, by name."""
    invitation, _ = invite(actor=max_, project=project, role="annotator")
    return api_world.make(project, max_, ada, FILE) | {
        "slug": project.slug,
        "member": project.memberships.get(user=ada).pk,
        "invitation": invitation.pk,
    }


@pytest.fixture
def callers(project, ada, ruth, max_, olga, make_user):
    """By name: a function (method, address, body) -> answer."""
    attic = create_project(actor=max_, name="Cellar")
    tokens = {
        "manager's token": {"project": project, "scope": "write", "role": "manager"},
        "manager's reading token": {"project": project, "scope": "read", "role": "manager"},
        "manager's annotating token": {"project": project, "scope": "write", "role": "annotator"},
        "manager's scoring token": {"project": project, "scope": "score", "role": "manager"},
        "token of another project": {"project": attic, "scope": "write", "role": "manager"},
    }
    people = {
        "nobody": None,
        "annotator": ada,
        "reviewer": ruth,
        "manager": max_,
        "manager of another project": olga,
        "outsider": make_user("otto"),
    }

    def caller(person, text):
        client = Client()
        if person is not None:
            client.force_login(person)

        def call(method, address, body=None):
            headers = {"Authorization": f"Bearer {text}"} if text else {}
            if isinstance(body, bytes):
                data = {"data": body, "content_type": "application/octet-stream"}
            elif body is None:
                data = {}
            else:
                data = {"data": json.dumps(body), "content_type": "application/json"}
            return client.generic(method, f"/api/v1/{address}", headers=headers, **data)

        return call

    found = {name: caller(person, None) for name, person in people.items()}
    for name, fields in tokens.items():
        _, text = create_token(actor=max_, name=name, days=1, **fields)
        found[name] = caller(None, text)
    return found


def filled_in(value, world):
    """A body with the names of the world replaced: "{batch}" alone is the value itself."""
    if isinstance(value, dict):
        return {name: filled_in(inner, world) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled_in(inner, world) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"\{\w+\}", value):
        return world[value[1:-1]]
    return value


def operations():
    """(method, address with bare names in braces) of every operation that there is."""

    def walk(resolver, prefix):
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from walk(entry, route)
            elif route.startswith("api/v1/"):
                view = entry.callback.view_class
                for method in view.http_method_names:
                    if hasattr(getattr(view, method, None), "operation") and method != "head":
                        yield method.upper(), re.sub(r"<(?:\w+:)?\w+>", "{}", route.removeprefix("api/v1/"))

    return sorted(walk(get_resolver(), ""))


def test_every_operation_is_in_the_table():
    named = re.compile(r"\{\w+\}|(?<=files/)[\w.]+$")
    listed = sorted({(row.method, named.sub("{}", row.address.partition("?")[0])) for row in TABLE})
    assert listed == operations()


@pytest.mark.sqlite_only
def test_nobody_else_gets_in(callers, world):
    """Refusals change nothing, so that one world serves them all."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        for name in set(callers) - row.allowed:
            expected = {401} if name == "nobody" else {404, 403} if name in READING else {404}
            if row.address == "projects":
                expected = {401} if name == "nobody" else {403}
            status = callers[name](row.method, address, body).status_code
            if status not in expected:
                wrong.append((name, row.method, address, status))
    assert wrong == []


def test_who_may_is_let_in(callers, world):
    """Each in a transaction of its own that is taken back."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        for name in sorted(row.allowed):
            with transaction.atomic():
                answer = callers[name](row.method, address, body)
                if answer.status_code != row.status:
                    wrong.append((name, row.method, address, answer.status_code, answer.content))
                transaction.set_rollback(True)
    assert wrong == []


def test_every_other_verb_is_refused_whoever_asks(callers, world):
    """PUT like PATCH: where there is no operation, nobody has one."""
    known = {}
    for row in TABLE:
        known.setdefault(row.address, set()).add(row.method)
    wrong = []
    for address, methods in known.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - methods:
            for name in ("nobody", "annotator", "manager", "manager's token"):
                status = callers[name](method, address.format(**world), {}).status_code
                if status != 405:
                    wrong.append((name, method, address, status))
    assert wrong == []


def test_what_lies_in_another_project_is_found_through_none(callers, world, olga, max_):
    """Every key of an address is looked up in the project of the address, not only in the table."""
    theirs = olga.memberships.get().project.slug
    wrong = []
    for row in TABLE:
        if row.address.count("{") < 2:
            continue
        address, body = row.address.format(**world | {"slug": theirs}), filled_in(row.body, world)
        answer = callers["manager of another project"](row.method, address, body)
        if answer.status_code != 404:
            wrong.append((row.method, address, answer.status_code))
    assert wrong == []


def test_no_operation_takes_a_parameter_or_a_field_that_it_does_not_name(callers, world):
    """No way through relations to other tables, and none to what is not for callers to set."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        caller = sorted(row.allowed - READING)
        if not caller:
            continue
        if row.method == "GET":
            for parameter in ("project__slug", "user__password", "annotator__username__startswith"):
                answer = callers[caller[0]](row.method, f"{address}?{parameter}=x")
                if answer.status_code != 400 or parameter not in answer.json()["fields"]:
                    wrong.append((address, parameter, answer.status_code))
        # A draft is the program's own; those of status 409 take no body and look at none.
        elif isinstance(body, dict) and not address.endswith("/draft") and row.status != 409:
            for field in ("is_staff", "project", "annotator", "created_by"):
                answer = callers[caller[0]](row.method, address, body | {field: 1})
                if answer.status_code != 400 or field not in answer.json()["fields"]:
                    wrong.append((address, field, answer.status_code))
    assert wrong == []


def test_operators_create_projects(client, make_user, program, max_):
    operator = make_user("root", is_staff=True)
    client.force_login(operator)
    answer = client.post("/api/v1/projects", {"name": "Attic"}, content_type="application/json")
    assert answer.status_code == 201
    client.logout()
    assert program(operator)("POST", "projects", {"name": "Loft"}).status_code == 201
    assert program(operator, role="reviewer")("POST", "projects", {"name": "Roof"}).status_code == 403
    attic = operator.memberships.get(project__slug="attic").project
    assert program(operator, attic)("POST", "projects", {"name": "Roof"}).status_code == 403
    assert program(max_)("POST", "projects", {"name": "Roof"}).status_code == 403


def test_managers_create_projects_where_the_installation_lets_them(settings, program, project, max_, ada):
    settings.MANAGERS_CREATE_PROJECTS = True
    assert program(max_)("GET", "me").json()["may_create_projects"] is True
    assert program(max_)("POST", "projects", {"name": "Attic"}).status_code == 201
    for refused in (program(ada), program(max_, project), program(max_, role="reviewer")):
        assert refused("POST", "projects", {"name": "Roof"}).status_code == 403
