"""The site that record_annotation_tour.py takes its pictures of: what is judged there, and two published sets."""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_source,
)
from annotation.conversation.batches import LivePlan, open_live_batch
from annotation.importing.actions import import_comparisons
from annotation.models import Batch
from annotation.quality.actions import measure_project
from annotation.writing.works import open_work
from demo import constants, grammar
from learning.interface.options import options_to_dict
from policy_training.actions import train_sft
from policy_training.models import Policy
from runs.models import Run
from workspace.actions import change_question_settings, create_project
from workspace.members import set_role
from workspace.models import Project, User

GUIDELINE = """\
You read a question and several answers to it. Judge as the person who asked would.

1. **Right** comes first: an answer with a wrong fact or a wrong result helps nobody.
2. Then **on point**: it answers what was asked, at the length that was asked for.
3. Then **clear**: one can follow it, and it says how sure it is.

Call it a *tie* when you would not mind which one you got. A long answer is not better for being long.
"""

Messages = Sequence[tuple[str, str]]


def ask(text: str) -> Messages:
    return [("user", text)]


PAIRS: Sequence[tuple[Messages, Sequence[str]]] = [
    (
        ask("Why does bread get hard when I keep it in the fridge?"),
        [
            "Because of the **starch**. While bread is baked, starch takes up water and becomes soft. As it cools, the "
            "starch slowly forms crystals again and lets the water go; this is called *retrogradation*, and it is "
            "fastest just above freezing.\n\nSo the fridge is the worst place:\n\n- up to two days: a bread box or a "
            "paper bag\n- longer: sliced, in the freezer; toast it from frozen",
            "The fridge dries bread out because cold air is dry. Wrap it well in plastic and it stays soft for two "
            "weeks. If it is hard already, sprinkle it with water and leave it in the sun for a while.",
        ],
    ),
    (
        ask("Write a Python function that says whether a year is a leap year."),
        [
            "```python\ndef is_leap_year(year: int) -> bool:\n    return year % 4 == 0 and (year % 100 != 0 or year % "
            "400 == 0)\n```\n\nEvery fourth year is one, but of the full hundreds only every fourth.",
            "```python\ndef is_leap_year(year):\n    if year % 4 == 0:\n        return True\n    return False\n```\n\n"
            "A leap year comes every four years.",
        ],
    ),
    (
        ask("How warm does the water have to be for green tea?"),
        [
            "Green tea tastes best with water of 70 to 80 °C. Boiling water draws out bitter tannins. Let the kettle "
            "stand for about five minutes, and take the leaves out after two minutes.",
            "Green tea tastes best with water of 90 to 95 °C. Boiling water draws out bitter tannins. Let the kettle "
            "stand for about one minute, and take the leaves out after two minutes.",
        ],
    ),
    (
        [
            ("user", "We are four people and two of us eat no meat. What can I cook on Saturday?"),
            (
                "assistant",
                "A big pan of shakshuka works for all four: eggs in tomatoes, with bread beside it.",
            ),
            ("user", "One of us is allergic to eggs."),
            ("assistant", "Then a chickpea curry with rice. It can be made on Friday and warmed up."),
            ("user", "Sounds good. We do not like coriander, though."),
            ("assistant", "Leave it out and use parsley and a little lemon instead."),
            ("user", "How much of everything do I buy for four?"),
        ],
        [
            "For four hungry people:\n\n| what | how much |\n|---|---|\n| chickpeas, tinned | 2 × 400 g |\n| tomatoes, "
            "tinned | 1 × 400 g |\n| coconut milk | 400 ml |\n| rice | 300 g |\n| onions | 2 |\n| parsley | a bunch |\n"
            "| lemon | 1 |",
            "About a kilogram of chickpeas, two kilograms of rice, some tomatoes, coriander and six eggs should do.",
        ],
    ),
    (
        ask("What is the sum of the first 100 whole numbers, and why?"),
        [
            "It is $5050$. Write the numbers once forwards and once backwards below each other: each of 100 columns "
            "adds up to 101, and that counts every number twice.\n\n$$\\sum_{k=1}^{n} k = \\frac{n(n+1)}{2}$$",
            "It is $5000$, because the average of the numbers is $50$ and there are $100$ of them.",
        ],
    ),
    (
        ask("كيف أحفظ الخبز طازجًا؟"),
        [
            "احفظ الخبز في كيس ورقي أو في علبة خبز، بعيدًا عن الثلاجة: البرد يجعله قاسيًا بسرعة. إذا أردت حفظه مدة "
            "أطول، فقطّعه وضعه في المجمّد.",
            "ضع الخبز في الثلاجة دائمًا، فيبقى طازجًا لأسابيع.",
        ],
    ),
]
RANKED: Sequence[tuple[str, Sequence[str]]] = [
    (
        "Give me a subject line for a mail that asks my landlord to mend the heating.",
        [
            "Heating in flat 3 broken since Monday: please send somebody this week",
            "Heating problem",
            "URGENT!!! I HAVE BEEN FREEZING FOR DAYS AND NOBODY CARES!!!",
            "Request for repair: no heating in flat 3",
        ],
    ),
    (
        "Explain to a child of eight why the sky is blue.",
        [
            "Sunlight is a mix of all colours. When it meets the air, the blue part bounces about most, like a ball "
            "among skittles, so blue comes to you from all over the sky.",
            "The sky is blue because the sea is blue and the sky is its mirror.",
            "Rayleigh scattering is proportional to the inverse fourth power of the wavelength.",
            "Light from the sun has many colours in it. Air pushes the blue ones around more than the red ones, so the "
            "whole sky looks blue.",
            "It just is!",
            "Because blue light is scattered by air more than the other colours are. In the evening the light comes a "
            "longer way, and the red is left over.",
        ],
    ),
]
DIALOGUES = [
    (
        "Most often it has risen too long or too short. How does the dough look when you bake it?",
        "It is very soft and runs to the sides.",
        "Then it has risen too long, or it holds too much water. Bake it an hour earlier, and take 5 % less water; if "
        "it springs back slowly when you press it with a finger, it is ready.",
    ),
    (
        "Use more yeast.",
        "It is sourdough, there is no yeast in it.",
        "You are right. Feed the starter twice the day before, and bake when it has doubled within six hours.",
        "And the shape?",
        "Let it rise in a basket, and bake it in a closed pot.",
    ),
]
SUMMARIES = [
    (
        "Summarise: The city council voted on Tuesday, 7 to 4, to close Mill Street to cars on Sundays from May until "
        "September. Shops on the street had asked for a trial of one month. The council will look at the numbers of "
        "visitors in July.",
        "Mill Street will be free of cars on Sundays from May to September, the council decided by 7 to 4. It checks "
        "in July how many people came.",
    ),
    (
        "Summarise: The library opens an hour later on Mondays because of works on the lift, until 3 March.",
        "Until 3 March the library opens an hour later on Mondays: its lift is being mended.",
    ),
]
RATING_MARKS = {
    "marks": [
        {"name": name, "label": label, "kind": "likert", "points": 7, "required": True, "low": low, "high": high}
        for name, label, low, high in (
            ("accuracy", "Is it accurate?", "wrong", "right"),
            ("coverage", "Does it cover what matters?", "nothing", "all"),
            ("clarity", "Is it clear?", "confusing", "clear"),
        )
    ]
    + [{"name": "tone", "label": "Tone", "kind": "choice", "choices": ["neutral", "friendly", "cold"]}]
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    manager: User
    annotator: User
    pairs: Project
    rankings: Project
    ratings: Project
    live: Project
    dialogues: Project
    writing: Project
    training: Run


def make_site(password: str) -> Site:
    manager = User.objects.create_user(username="marlene", password=password)
    annotator = User.objects.create_user(username="annika", password=password)

    def project(name: str, question: str) -> Project:
        made = create_project(actor=manager, name=name, question=question, guideline=GUIDELINE)
        set_role(actor=manager, project=made, user=annotator, role="annotator")
        return made

    pairs = project("Everyday questions", "Which answer would you rather get?")
    add_batch(manager, pairs, "Pairs", PAIRS)
    rankings = project("Several answers", "Which answers are better?")
    for question, answers in RANKED:
        add_batch(manager, rankings, f"{len(answers)} answers", [(ask(question), answers)])
    ratings = project("Summaries", "Which summary is better?")
    change_question_settings(
        actor=manager, project=ratings, allow_ties=True, ask_rationale=False, asked=RATING_MARKS
    )
    add_batch(manager, ratings, "Summaries", [(ask(text), [summary]) for text, summary in SUMMARIES])
    live = project("Talking about cooking", "Which answer is better?")
    dialogues = project("Whole conversations", "Which conversation helps more?")
    add_dialogues(manager, dialogues)
    writing = project("Prompts to write", "Which answer is better?")
    open_work(
        actor=manager, project=writing, name="Questions about rice", kind="prompt", prompt_kind="plain", items=5,
        instruction="Ask for something you would really like to know. One question, in your own words.",
    )  # fmt: skip
    training = start_training(manager, live)
    return Site(manager, annotator, pairs, rankings, ratings, live, dialogues, writing, training)


def add_dialogues(actor: User, project: Project) -> Batch:
    """Two conversations that begin alike, compared whole."""
    batch = create_batch(
        actor=actor,
        project=project,
        criterion=project.criteria.get(),
        name="Conversations",
        responses_per_task=2,
    )
    messages = [{"role": "user", "content": "My sourdough bread comes out flat. What can I do?"}]
    [prompt] = add_prompts(actor=actor, project=project, rows=[{"messages": messages}])
    source = get_or_create_source(actor=actor, project=project, kind="policy", name="written for the tour")
    rows = [
        NewResponse(
            prompt=prompt,
            source=source,
            text="",
            turns=[
                {"role": ("assistant", "user")[place % 2], "content": text} for place, text in enumerate(said)
            ],
        )
        for said in DIALOGUES
    ]
    responses = add_responses(actor=actor, project=project, rows=rows)
    add_tasks(actor=actor, batch=batch, tasks=[NewTask(prompt=prompt, responses=responses)])
    return open_batch(actor=actor, batch=batch)


def add_batch(
    actor: User, project: Project, name: str, tasks: Sequence[tuple[Messages, Sequence[str]]]
) -> Batch:
    each = len(tasks[0][1])
    batch = create_batch(
        actor=actor, project=project, criterion=project.criteria.get(), name=name, responses_per_task=each
    )
    rows = [
        {"messages": [{"role": role, "content": text} for role, text in messages]} for messages, _ in tasks
    ]
    prompts = add_prompts(actor=actor, project=project, rows=rows)
    source = get_or_create_source(actor=actor, project=project, kind="policy", name="written for the tour")
    responses = add_responses(
        actor=actor,
        project=project,
        rows=[
            NewResponse(prompt=prompt, source=source, text=text)
            for prompt, (_, texts) in zip(prompts, tasks, strict=True)
            for text in texts
        ],
    )
    new = [
        NewTask(prompt=prompt, responses=responses[each * number :][:each])
        for number, prompt in enumerate(prompts)
    ]
    add_tasks(actor=actor, batch=batch, tasks=new)
    return open_batch(actor=actor, batch=batch)


def start_training(actor: User, project: Project, steps: int = 250) -> Run:
    """Of the small model that answers in the live conversation, on the demonstration's grammar."""
    drawn = grammar.sample_demonstrations(3000, random.Random("tour"))
    prompts = add_prompts(
        actor=actor, project=project, rows=[{"messages": one.prompt.messages} for one in drawn]
    )
    rows = [
        NewDemonstration(prompt=prompt, text=one.response) for prompt, one in zip(prompts, drawn, strict=True)
    ]
    add_demonstrations(actor=actor, project=project, rows=rows)
    config = constants.base_policy_config(0, 1)
    config = replace(config, data=replace(config.data, steps=steps))
    return train_sft(actor=actor, project=project, name="cook", config=options_to_dict(config))


def open_conversations(actor: User, project: Project) -> Batch:
    """Two temperatures of the one policy."""
    source = Policy.objects.get(project=project).source
    plan = LivePlan(
        first_source=source,
        second_source=source,
        first_temperature=0.2,
        second_temperature=1.0,
        instruction="Ask for help with something you cook this week, and go on until it is answered.",
        openers=["I have salmon and dill at home. What should I make for dinner?"],
        max_turns=4,
        max_response_tokens=80,
    )
    criterion = project.criteria.get()
    return open_live_batch(
        actor=actor, project=project, criterion=criterion, name="Conversations", quota=100, plan=plan
    )


# --- published sets ----------------------------------------------------------------------------------------------
GRADES = {
    "a-is-better": 2,
    "a-is-slightly-better": 1,
    "tie": 0,
    "b-is-slightly-better": -1,
    "b-is-better": -2,
}


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def record(task: str, prompt: str, answers: Sequence[tuple[str, str]], said: int, who: str) -> dict[str, Any]:
    """A judgment of two answers [(text, policy)] in the records format; `said`: 2 the first is better ... -2."""
    ids = [
        f"{task}/{place}/{policy}" for place, (_, policy) in enumerate(sorted(answers, key=lambda a: a[1]))
    ]
    by_policy = dict(zip(sorted(policy for _, policy in answers), ids, strict=True))
    shown = [by_policy[policy] for _, policy in answers]
    return {
        "judgment_id": f"{task}/{who}", "task_id": task, "prompt": [{"role": "user", "content": prompt}],
        "prompt_id": task, "is_current": True, "withdrawn": False, "surplus": False,
        "responses": [
            {"response_id": by_policy[policy], "text": text, "source": "policy", "policy": policy}
            for text, policy in answers
        ],
        "order_shown": shown,
        "tiers": [shown] if said == 0 else [[one] for one in (shown if said > 0 else shown[::-1])],
        "strengths": [abs(said)] * (said != 0), "annotator": who,
    }  # fmt: skip


def tulu_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Without pairs of one answer and second judgments of one person. Evaluators have numbers instead of the two
    letters of the file, which may be somebody's.
    """
    seen, numbers = set(), {}
    for row in read_lines(folder / "tulu1_graded_pairs_17_evaluators.jsonl.gz"):
        models = sorted([row["model_a"], row["model_b"]])
        task = f"{row['instance_id']}/{models[0]}/{models[1]}"
        who = f"evaluator-{numbers.setdefault(row['evaluator'], len(numbers) + 1):02d}"
        if row["completion_a"].strip() == row["completion_b"].strip() or (task, who) in seen:
            continue
        seen.add((task, who))
        answers = [(row[f"completion_{side}"], row[f"model_{side}"]) for side in "ab"]
        yield record(task, row["prompt"], answers, GRADES[row["preference"]], who)


def pandalm_records(folder: Path) -> Iterator[dict[str, Any]]:
    for row in read_lines(folder / "pandalm_pairs_3_annotators.jsonl.gz"):
        models = row["cmp_key"].split("_")
        answers = [(row["response1"], models[0]), (row["response2"], models[1])]
        if answers[0][0].strip() == answers[1][0].strip() or not all(text.strip() for text, _ in answers):
            continue
        prompt = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
        for number in (1, 2, 3):
            said = {0: 0, 1: 1, 2: -1}[row[f"annotator{number}"]]
            yield record(row["uid"], prompt, answers, said, f"annotator-{number}")


def import_published(actor: User, name: str, records: Iterator[dict[str, Any]], folder: Path) -> Project:
    """A project with the set, measured."""
    project = create_project(actor=actor, name=name, question="Which answer is better?")
    path = folder / f"{project.slug}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in records)
    import_comparisons(actor=actor, project=project, path=path, format="records")
    measure_project(actor=actor, project=project)
    return project
