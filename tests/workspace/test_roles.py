"""Which role may do what: the whole table, and that every page of a project asks for a capability."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from workspace.access import access_project
from workspace.accounts import create_machine_annotator
from workspace.actions import ActionError
from workspace.members import set_role
from workspace.models import Membership
from workspace.roles import ROLE_CAPABILITIES, Capability, capabilities_of, roles_with

ROOT = Path(__file__).resolve().parents[2]
ANNOTATOR, REVIEWER, READER, MANAGER = "annotator", "reviewer", "reader", "manager"
MAY = {
    Capability.OPEN: {ANNOTATOR, REVIEWER, READER, MANAGER},
    Capability.ANNOTATE: {ANNOTATOR, REVIEWER, MANAGER},
    Capability.REVIEW: {REVIEWER, READER, MANAGER},
    Capability.ANSWER: {REVIEWER, MANAGER},
    Capability.DECIDE: {REVIEWER, MANAGER},
    Capability.SCORE: {MANAGER},
    Capability.MANAGE: {MANAGER},
}
# Every view below projects/<slug>/, by the capability it asks for.
PAGES = {
    Capability.OPEN: {"workspace:project"},
    Capability.ANNOTATE: {
        *(f"annotation:{name}" for name in "overview annotate guideline refresh_csrf next_task task".split()),
        *(
            f"annotation:{name}"
            for name in "task_content draft submit skip undo_skip withdraw ask opt_outs keep_judgment".split()
        ),
        *(f"annotation:{name}" for name in "acknowledge confirm_guideline take_back".split()),
        "annotation:own_history",
        *(
            f"annotation:conversation{name}"
            for name in ("", "_again", "_end", "_message", "_one", "_state", "s")
        ),
        "annotation:start_conversation",
        *(f"annotation:{name}_writing" for name in ("begin", "send", "skip")),
        *(f"annotation:{name}" for name in ("writing", "write", "writing_draft")),
        *(f"annotation:{name}" for name in "feedback own_training begin_training_try own_score".split()),
    },
    Capability.REVIEW: {
        *(
            f"annotation:{name}"
            for name in "batches batch work_done judgment batch_task batch_skips ai_judges".split()
        ),
        *(f"annotation:{name}" for name in ("guideline_versions", "guideline_version", "questions")),
        *(f"annotation:{name}" for name in ("quality", "quality_annotators", "quality_annotator")),
        *(f"annotation:{name}" for name in ("quality_pair", "uncertain_tasks", "disagreements", "decisions")),
        *(f"annotation:{name}" for name in ("all_throughput", "throughput")),
        *(f"annotation:{name}" for name in ("queue", "live_batch", "live_conversation")),
        *(f"annotation:writing_{name}" for name in ("works", "work", "to_check", "text")),
        "events:list",
        *(f"rounds:{name}" for name in ("list", "round")),
        *(f"runs:{name}" for name in ("list", "run", "live", "metrics", "figures", "file", "answers")),
        *(f"data:{name}" for name in "prompts prompt prompt_sets prompt_set demonstrations".split()),
        *(f"data:{name}" for name in "demonstration texts text imports import datasets".split()),
        *(f"data:{name}" for name in ("dataset", "compare_datasets", "import_bad_rows")),
        *(f"reward_models:{name}" for name in ("list", "reward_model", "evaluation", "serving")),
        *(f"policies:{name}" for name in ("list", "policy", "serving", "measured", "comparison")),
        *(f"policies:{name}" for name in ("frontier", "selection")),
    },
    Capability.ANSWER: {"annotation:answer_question"},
    Capability.DECIDE: {
        *(f"annotation:{name}" for name in ("adjudicate", "return_judgment", "review_writing")),
    },
    Capability.SCORE: set(),  # programs alone: tests/config/test_api_roles.py
    Capability.MANAGE: {
        *(
            f"annotation:{name}"
            for name in (
                *("release_lease", "set_task_priority", "ask_again", "new_live_batch", "set_pay_rate"),
                "compare_conversations",
            )
        ),
        *(f"annotation:{name}" for name in "assigning member_work batch_audience ask_to_confirm".split()),
        *(f"annotation:{name}" for name in ("new_writing_work", "release_writing", "set_writing_state")),
        *(
            f"events:{name}"
            for name in "webhooks webhook send_test turn_on turn_off replace_secret remove".split()
        ),
        *(f"events:{name}" for name in "dead_letters resend resend_all drop try_now give_up".split()),
        *(
            f"workspace:{name}"
            for name in (
                *("people", "invite", "withdraw_invitation", "change_member", "set_time_zone", "set_splits"),
                *("audit", "audit_export"),
            )
        ),
        *(
            f"annotation:{name}"
            for name in (
                "settings",
                "asked_settings",
                "new_batch",
                "batch_from_answers",
                "batch_being_made",
                "batch_being_made_live",
                "open_batch",
                "close_batch",
                "exclude_batch",
                "change_overlap",
                "set_warnings",
                "checks",
                "set_checks",
                "make_known",
                "known_answer",
                "new_training",
                "training",
                "change_training",
                "change_standing",
                "require_training",
                "measure_again",
                "ask_one_more",
                "one_more_rule",
                "leaderboard",
                "preview_guideline",
            )
        ),
        *(
            f"rounds:{name}"
            for name in "first_steps start end_annotation reopen_annotation retry cancel continue".split()
        ),
        *(f"rounds:{name}_schedule" for name in ("pause", "resume", "delete")),
        *(f"rounds:{name}_firing" for name in ("retry", "drop")),
        *(f"runs:{name}" for name in ("cancel", "retry", "resume", "clone", "limit")),
        *(f"reward_models:{name}" for name in ("start_serving", "stop_serving")),
        *(
            f"data:{name}"
            for name in "undo_import new_upload fetch_dataset begin_upload upload upload_pieces".split()
        ),
        *(f"data:{name}" for name in "upload_live upload_bad_rows remove_upload".split()),
        *(f"data:{name}" for name in ("new_dataset", "preview_dataset", "describe_dataset")),
        *(f"data:{name}" for name in ("download_dataset", "dataset_archive", "download_demonstrations")),
        *(f"data:{name}" for name in ("push_dataset", "freezing", "freezing_live")),
        *(f"reward_models:{name}" for name in ("describe", "archive", "push")),
        *(f"policies:{name}" for name in ("describe", "archive", "push")),
        *(f"policies:{name}" for name in ("start_serving", "stop_serving", "playground")),
        *(f"policies:playground_{name}" for name in ("answers", "state", "stop")),
        *(f"policies:{name}" for name in ("select", "pin", "unpin", "cancel_chained", "retry_chained")),
        *(
            f"policies:{name}"
            for name in "fine_tune pretrain dpo ppo policy_gradient best_of_n merge sample import evaluate".split()
        ),
        *(
            f"policies:{name}"
            for name in ("adopt", "benchmark", "benchmark_files", "judge", "compare", "along")
        ),
        *(f"reward_models:{name}" for name in ("train", "evaluate", "adopt")),
    },
}


def project_pages() -> dict[str, URLPattern]:
    """Every view of the site whose address has a project's slug in it, by its name."""

    def walk(resolver: URLResolver, prefix: str, namespace: str):
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                inner = ":".join(filter(None, (namespace, entry.namespace)))
                yield from walk(entry, route, inner)
            elif "<slug:slug>" in route and not route.startswith("api/"):  # tests/config/test_api_roles.py
                yield f"{namespace}:{entry.name}", entry

    return dict(walk(get_resolver(), "", ""))


def test_the_table_names_every_role_and_gives_each_what_it_may_do():
    assert set(ROLE_CAPABILITIES) == set(Membership.Role)
    for capability in Capability:
        assert set(roles_with(capability)) == MAY[capability], capability


def test_every_page_of_a_project_asks_for_its_capability():
    asked: dict[Capability, set[str]] = {capability: set() for capability in Capability}
    for name, entry in project_pages().items():
        asked[entry.callback.capability].add(name)
    assert asked == PAGES


def test_templates_ask_for_capabilities_that_exist_and_never_for_a_role():
    asked = set()
    for template in (ROOT / "templates").rglob("*.html"):
        tags = " ".join(re.findall(r"{%-?\s*(?:el)?if\s.*?%}", template.read_text()))
        asked |= set(re.findall(r"\bcan\.(\w+)", tags))
        assert not re.search(r"(?<!\.)\brole\b", tags), template.name
    assert asked <= {capability.value for capability in Capability}
    assert {"review", "manage"} <= asked


@pytest.mark.db
@pytest.mark.parametrize("capability", Capability)
def test_a_project_opens_to_whom_the_table_says(project, ada, ruth, max_, olga, make_user, capability):
    for role, person in ((ANNOTATOR, ada), (REVIEWER, ruth), (MANAGER, max_)):
        if role in MAY[capability]:
            found, capabilities = access_project(person, project.slug, capability)
            assert found == project
            assert capabilities == ROLE_CAPABILITIES[role]
        else:
            with pytest.raises(Http404):
                access_project(person, project.slug, capability)
    for outsider in (olga, AnonymousUser(), make_user("operator", is_staff=True, is_superuser=True)):
        with pytest.raises(Http404):
            access_project(outsider, project.slug, capability)


@pytest.mark.db
def test_who_left_or_is_a_machine_may_do_nothing(project, max_, ada):
    machine = create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    assert capabilities_of(machine, project) == frozenset()
    ada.is_active = False
    ada.save()
    assert capabilities_of(ada, project) == frozenset()


@pytest.mark.db
@pytest.mark.parametrize("role", Membership.Role)
def test_a_machine_gets_no_role_that_can_do_more_than_annotate(project, max_, role):
    machine = create_machine_annotator(actor=max_, project=project, name="robot", kind="ai")
    if MAY[Capability.REVIEW] & {role}:
        with pytest.raises(ActionError, match="it can only annotate"):
            set_role(actor=max_, project=project, user=machine, role=role)
    else:
        assert set_role(actor=max_, project=project, user=machine, role=role).role == role


@pytest.mark.db
@pytest.mark.django_db
def test_who_only_reads_opens_what_reviewers_open_and_does_nothing(client, project, max_, make_user):
    rita = make_user("rita")
    set_role(actor=max_, project=project, user=rita, role=READER)
    client.force_login(rita)
    for name in (
        "annotation:batches",
        "rounds:list",
        "data:prompts",
        "annotation:guideline_versions",
        "runs:list",
    ):
        assert client.get(reverse(name, args=[project.slug])).status_code == 200, name
    listed = client.get(f"/api/v1/projects/{project.slug}/guidelines")
    assert [row["version"] for row in listed.json()["results"]] == [1]
    for name in ("annotation:overview", "annotation:annotate", "annotation:settings", "workspace:people"):
        assert client.get(reverse(name, args=[project.slug])).status_code == 404, name
    claim = client.post(
        reverse("annotation:next_task", args=[project.slug]), "{}", content_type="application/json"
    )
    assert claim.status_code == 404
