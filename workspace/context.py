"""What every page's navigation needs."""

from typing import Any

from django.http import HttpRequest

from workspace.languages import read_script_texts
from workspace.roles import Capability

# Pages of annotation that belong to other entries of the navigation than Annotate.
REVIEW_PAGES = (
    "batches",
    "batch",
    "judgment",
    "new_batch",
    "batch_task",
    "ai_judges",
    "batch_skips",
    "work_done",
    "queue",
    "all_throughput",
    "throughput",
    "batch_from_answers",
    "batch_being_made",
    "batch_being_made_live",
    "questions",
    "answer_question",
    "quality",
    "quality_annotators",
    "quality_annotator",
    "quality_pair",
    "uncertain_tasks",
    "leaderboard",
    "disagreements",
    "decisions",
    "adjudicate",
    "batch_audience",
    "ask_one_more",
    *("new_live_batch", "live_batch", "live_conversation", "compare_conversations"),
    *("writing_works", "new_writing_work", "writing_work", "writing_to_check", "writing_text"),
    *("checks", "known_answer", "new_training", "training", "change_training", "set_checks"),
)
SETTINGS_PAGES = ("settings", "asked_settings", "guideline_versions", "guideline_version")
PEOPLE_PAGES = ("people", "audit", "audit_export", "assigning", "member_work")


def translation(request: HttpRequest) -> dict[str, Any]:
    """`script_texts`: none in the site's own language."""
    return {"script_texts": read_script_texts()}


def navigation(request: HttpRequest) -> dict[str, Any]:
    """`project` and `can` (`{% if can.review %}`) on the pages of a project, as `project_view` set them."""
    project = getattr(request, "project", None)
    capabilities = getattr(request, "capabilities", None)
    if project is None or capabilities is None:
        return {}
    return {
        "project": project,
        "review_pages": REVIEW_PAGES,
        "settings_pages": SETTINGS_PAGES,
        "people_pages": PEOPLE_PAGES,
        "can": {capability.value: capability in capabilities for capability in Capability},
    }
