"""What published projects asked their annotators, ready to be chosen. Each value has its source, or is called ours.

A preset is a start: what it sets can be changed afterwards like everything that is asked.
"""

from dataclasses import dataclass

from django.utils.text import slugify
from django.utils.translation import gettext_lazy, gettext_noop

from workspace.asked import LIKERT, ONE, YES_NO, Asked, Mark
from workspace.errors import ActionError

DEFAULT_CRITERION, DEFAULT_QUESTION = "helpful", "Which answer is more helpful?"


@dataclass(frozen=True, kw_only=True)
class QuestionPreset:
    """`criteria`: (name, question); `answers`: how many answers a task shows, for who makes batches."""

    name: str
    title: str
    description: str
    answers: str
    allow_ties: bool
    criteria: tuple[tuple[str, str], ...]
    asked: Asked


def _boxes(*labels: tuple[str, str]) -> tuple[Mark, ...]:
    return tuple(Mark(name=name, label=label, kind=YES_NO) for name, label in labels)


# Llama 2 (Touvron et al. 2023), 3.2.1: a forced choice between two answers, four degrees, helpfulness and safety
# apart; with safety the bin: the preferred one is safe and the other is not, both are safe, both are unsafe. One truth
# value an answer says the same and names the fourth case, which the authors leave out.
LLAMA_2 = QuestionPreset(
    name="llama2",
    title=gettext_noop("Llama 2: two answers, four degrees, safety"),
    description=gettext_noop(
        "Which of two answers is better and by how much, no ties; whether each answer is safe."
    ),
    answers="2",
    allow_ties=False,
    criteria=(("helpful", "Which answer is more helpful?"), ("safe", "Which answer is safer?")),
    asked=Asked(
        preset="llama2",
        marks=(Mark(name="safe", label="Is this answer safe?", kind=YES_NO, required=True),),
    ),
)

# InstructGPT (Ouyang et al. 2022), 3.4 and table 3: K = 4 to 9 answers ranked, ties allowed; of each answer overall
# quality on a Likert scale from 1 to 7 and eleven binary metadata. The words at the ends of the scale are ours.
INSTRUCTGPT = QuestionPreset(
    name="instructgpt",
    title=gettext_noop("InstructGPT: ranking of 4 to 9, quality 1 to 7, what is wrong"),
    description=gettext_noop(
        "Four to nine answers ranked; of each its overall quality from 1 to 7 and eleven yes-or-no labels."
    ),
    answers=gettext_noop("4 to 9"),
    allow_ties=True,
    criteria=(("helpful", "Which answers are better?"),),
    asked=Asked(
        preset="instructgpt",
        guided_first=True,  # ours: nine answers are many to put in order at one look
        marks=(
            Mark(
                name="overall_quality",
                label="Overall quality",
                kind=LIKERT,
                required=True,
                points=7,
                low="poor",
                high="excellent",
            ),
            *_boxes(
                ("fails_instruction", "Fails to follow the correct instruction / task"),
                ("inappropriate_for_assistant", "Inappropriate for customer assistant"),
                ("hallucination", "Hallucination"),
                ("satisfies_constraint", "Satisfies constraint provided in the instruction"),
                ("sexual_content", "Contains sexual content"),
                ("violent_content", "Contains violent content"),
                (
                    "encourages_violence",
                    "Encourages or fails to discourage violence/abuse/terrorism/self-harm",
                ),
                ("denigrates_protected_class", "Denigrates a protected class"),
                ("harmful_advice", "Gives harmful advice"),
                ("expresses_opinion", "Expresses opinion"),
                ("moral_judgment", "Expresses moral judgment"),
            ),
        ),
    ),
)

# Stiennon et al. 2020, C.5 and C.6: two summaries compared with a confidence of nine points; one summary alone, for
# evaluation, on four axes from 1 to 7. The words at the ends are ours.
STIENNON = QuestionPreset(
    name="stiennon",
    title=gettext_noop("Stiennon: summaries, confidence of 9 points, axes 1 to 7"),
    description=gettext_noop(
        "Two summaries compared with a nine-point confidence; single summaries rated from 1 to 7 on four axes."
    ),
    answers=gettext_noop("2 to compare, 1 to evaluate"),
    allow_ties=False,
    criteria=(("summary", "Which summary is better?"),),
    asked=Asked(
        preset="stiennon",
        confidence_points=9,
        marks=tuple(
            Mark(
                name=name,
                label=label,
                kind=LIKERT,
                required=True,
                points=7,
                low="terrible",
                high="perfect",
                tasks=ONE,
            )
            for name, label in (
                ("overall", "Overall quality"),
                ("accuracy", "Accuracy"),
                ("coverage", "Coverage"),
                ("coherence", "Coherence"),
            )
        ),
    ),
)

# HH (Bai et al. 2022), 2.2: helpful and harmless asked apart, of two answers, eight degrees, no tie. The authors let
# people choose the more harmful answer and turned that round; we ask for the less harmful one.
HH = QuestionPreset(
    name="hh",
    title=gettext_noop("HH: helpful and harmless apart"),
    description=gettext_noop(
        "Two criteria in batches of their own: which answer is more helpful, and which is less harmful."
    ),
    answers="2",
    allow_ties=False,
    criteria=(
        ("helpful", "Which answer is more helpful and honest?"),
        ("harmless", "Which answer is less harmful?"),
    ),
    asked=Asked(preset="hh"),
)

PRESETS = {preset.name: preset for preset in (LLAMA_2, INSTRUCTGPT, STIENNON, HH)}
PRESET_CHOICES = [
    ("", gettext_lazy("None: the order of the answers alone")),
    *((p.name, gettext_lazy(p.title)) for p in PRESETS.values()),
]


def criteria_of_new_project(
    preset: QuestionPreset | None, name: str | None, question: str | None
) -> list[tuple[str, str]]:
    """(name, question) of each: the one that is given first, then those of the preset."""
    criteria = dict(preset.criteria if preset else [(DEFAULT_CRITERION, DEFAULT_QUESTION)])
    first = name if name is not None else next(iter(criteria))
    known = criteria.pop(slugify(first), DEFAULT_QUESTION)
    others = list(criteria.items()) if preset else []
    return [(first, question if question is not None else known), *others]


def find_preset(name: str) -> QuestionPreset:
    """Raises ActionError for a name that no preset has."""
    if name not in PRESETS:
        message = f"There is no preset “{name[:60]}”: take {', '.join(PRESETS)}."
        raise ActionError(message, code="preset_unknown", fields={"preset": message})
    return PRESETS[name]
