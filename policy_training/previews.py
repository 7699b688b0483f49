"""What a run would read and take, said before it is started. Counts of rows; no file is opened."""

import math
from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext

from annotation.models import Prompt, PromptSet
from policy_training.forms import EvaluatePolicyForm, LanguageModelForm, PretrainForm, SampleForm
from policy_training.model_servers import sent_prompts_notes
from policy_training.sampled_tasks import MAX_RESPONSES
from policy_training.supervised.mixing import BRING_DEMONSTRATIONS, BRING_TEXTS
from runs.option_forms.fields import value_at
from workspace.errors import ActionError
from workspace.models import Project


def preview_language_model(form: LanguageModelForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}. The counts leave out what limits on lengths will leave out."""
    try:
        config = form.asked()["config"]
    except ActionError as error:
        return {"missing": str(error)}
    of_texts = isinstance(form, PretrainForm) and form.cleaned_data["learn_from"] == "texts"
    learned = texts_by_split(form.project) if of_texts else demonstrations_by_split(form.project)
    facts: list[tuple[str, int | None]] = [
        (
            gettext("Texts to learn from") if of_texts else gettext("Demonstrations to learn from"),
            learned[Prompt.Split.TRAIN],
        ),
        (gettext("Held out, to watch the loss"), learned[Prompt.Split.VALIDATION]),
    ]
    share = value_at(config, "data.texts_share")
    mixes_in = not isinstance(form, PretrainForm) and isinstance(share, (int, float)) and share > 0
    missing = ""
    if mixes_in:
        texts = texts_by_split(form.project)[Prompt.Split.TRAIN]
        facts.append((gettext("Texts to mix in"), texts))
        if not texts:
            missing = gettext(
                "The project has no texts to mix in: %(bring_texts)s, or set the texts share to 0."
            ) % {"bring_texts": BRING_TEXTS}
    if not learned[Prompt.Split.TRAIN]:
        if of_texts:
            missing = gettext("The project has no texts to learn from: %(bring)s.") % {"bring": BRING_TEXTS}
        else:
            missing = gettext("The project has no demonstrations to learn from: %(bring)s.") % {
                "bring": BRING_DEMONSTRATIONS
            }
    facts.append((gettext("Optimizer steps"), steps_asked(config, learned[Prompt.Split.TRAIN])))
    notes = []
    if test := learned[Prompt.Split.TEST]:
        notes.append(gettext("%(test)s of the test split are not read for training.") % {"test": test})
    return {"facts": facts, "notes": notes, "missing": missing}


def preview_sampling(form: SampleForm) -> dict[str, Any]:
    """The same of sampling: how many prompts, and how many answers of each."""
    try:
        asked = form.asked()
    except ActionError as error:
        return {"missing": str(error)}
    config = value_at(form.preset_values, "sampling") | asked["config"]["sampling"]
    n_prompts = asked["prompt_set"].prompts.count()
    if asked["prompts"] is not None:
        n_prompts = min(n_prompts, asked["prompts"])
    each, temperatures = asked["config"]["samples_per_prompt"], config["temperatures"]
    if not isinstance(each, int) or not isinstance(temperatures, list):
        return {
            "missing": gettext(
                "The samples of a prompt are a whole number, the temperatures numbers with commas."
            )
        }
    per_prompt = each * len(temperatures) * len(asked["policies"])
    facts = [
        (gettext("Prompts"), n_prompts),
        (gettext("New answers to each"), per_prompt),
        (gettext("Answers to sample"), n_prompts * per_prompt),
        (gettext("Tokens of an answer, at most"), config["max_response_tokens"]),
    ]
    missing = "" if n_prompts else gettext("The prompt set is empty: import prompts into it.")
    if asked["single_answers"]:
        return {
            "facts": facts,
            "notes": [gettext("Each different answer is a task, to be rated.")],
            "missing": missing,
        }
    if per_prompt > MAX_RESPONSES:
        missing = gettext(
            "A task shows at most %(max_responses)s answers: ask for fewer samples, temperatures or policies."
        ) % {"max_responses": MAX_RESPONSES}
    elif per_prompt == 1:
        notes = [gettext("A task shows two answers at least: prompts without one from a file get none.")]
        if not asked["with_given"]:
            missing = gettext(
                "A task shows two answers at least: ask for more samples, temperatures or policies."
            )
        return {"facts": facts, "notes": notes, "missing": missing}
    return {"facts": facts, "missing": missing}


def preview_evaluation(form: EvaluatePolicyForm) -> dict[str, Any]:
    """The same of an evaluation, and whether the policy may have been trained on the prompts."""
    try:
        asked = form.asked()
    except ActionError as error:
        return {"missing": str(error)}
    prompt_set: PromptSet = asked["prompt_set"]
    n_prompts = prompt_set.prompts.count()
    if asked["prompts"] is not None:
        n_prompts = min(n_prompts, asked["prompts"])
    each = value_at(asked["config"], "samples_per_prompt")
    trained = prompt_set.prompts.filter(split=Prompt.Split.TRAIN).count()
    notes = []
    if trained and prompt_set.purpose != PromptSet.Purpose.EVALUATION:
        notes.append(
            gettext(
                "%(trained)s of its prompts are of the split train: a policy may have been trained on them."
            )
            % {"trained": trained}
        )
    notes += sent_prompts_notes(value_at(asked["config"], "sampling.server.name"))
    return {
        "facts": [
            (gettext("Prompts"), n_prompts),
            (gettext("Answers to sample and score"), n_prompts * each if isinstance(each, int) else None),
        ],
        "notes": notes,
        "missing": "" if n_prompts else gettext("The prompt set is empty: import prompts into it."),
    }


def demonstrations_by_split(project: Project) -> dict[str, int]:
    found = project.demonstrations.order_by().values_list("prompt__split").annotate(n=Count("pk"))
    return dict.fromkeys(Prompt.Split.values, 0) | dict(found)


def texts_by_split(project: Project) -> dict[str, int]:
    found = project.texts.order_by().values_list("split").annotate(n=Count("pk"))
    return dict.fromkeys(Prompt.Split.values, 0) | dict(found)


def steps_asked(config: Mapping[str, Any], examples: int) -> int | None:
    """How many optimizer steps so many demonstrations or texts take; None where lengths decide (packed, mixed rows)."""
    data: Mapping[str, Any] = value_at(config, "data") or {}
    steps, epochs, per_step = data.get("steps"), data.get("epochs"), data.get("examples_per_step")
    if isinstance(steps, int):
        return steps
    if data.get("packing") or data.get("texts_share") or not examples:
        return None
    if not isinstance(per_step, int) or per_step < 1 or not isinstance(epochs, (int, float)):
        return None
    return math.ceil(epochs * math.ceil(examples / per_step))
