"""Coffee orders of Taskmaster-4 as rows that the import commands take.

    python -m benchmarks.real_run.convert_coffee DATA OUT

DATA has taskmaster4_coffee_dialogues.jsonl.gz and taskmaster4_coffee_rated_generations.jsonl.gz.
Written to OUT:

    demonstrations.jsonl   prompt, response: what the agent did next     -> import_demonstrations
    rankings.jsonl         prompt, responses, ranks: contexts with both ratings
                                                                         -> import_comparisons --format ranked
    prompts.jsonl          prompt: every rated context                   -> import_prompts
    ratings.jsonl          uid, prompt, response, reward: every rating   -> coffee_auc.py

The agent's speech is text; its calls of the coffee bar's functions, and the answers to them, are JSON text.
The opening welcome, the same everywhere, is left out; ids of 32 hexadecimal digits are cut to 6, which
keeps contexts short and ids distinct. No label is changed: same text, same rating.
"""

import argparse
import gzip
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROLES = {"agent": "assistant", "user": "user", "api": "tool"}
LONG_ID = re.compile(r"\b([0-9a-f]{6})[0-9a-f]{26}\b")
WELCOME = (
    "Welcome to the Coffee Bar where you can order coffee, tea, espresso, and other drinks ahead of time."
)
MAX_RESPONSES = 9  # of one ranking
Message = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--actions", type=int, default=3, help="demonstrations taken of each dialogue (default 3)"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    dialogues = read_gzip_jsonl(arguments.data / "taskmaster4_coffee_dialogues.jsonl.gz")
    demonstrations = [
        row for dialogue in dialogues for row in dialogue_demonstrations(dialogue, arguments.actions)
    ]
    rated = read_gzip_jsonl(arguments.data / "taskmaster4_coffee_rated_generations.jsonl.gz")
    ratings = [row for row in map(parse_rating, rated) if row["prompt"]]
    contexts = group_by_context(ratings)
    rankings = [row for name, rows in contexts.items() for row in build_rankings(name, rows)]
    write_jsonl(arguments.out / "demonstrations.jsonl", demonstrations)
    write_jsonl(arguments.out / "rankings.jsonl", rankings)
    write_jsonl(
        arguments.out / "prompts.jsonl", ({"prompt": rows[0]["prompt"]} for rows in contexts.values())
    )
    write_jsonl(arguments.out / "ratings.jsonl", ratings)
    print(
        f"{len(demonstrations)} demonstrations of {len(dialogues)} dialogues; {len(ratings)} ratings in "
        f"{len(contexts)} contexts ({len(rated) - len(ratings)} ratings without a context left out); "
        f"{len(rankings)} rankings of {len({row['id'].split('/')[0] for row in rankings})} contexts with both ratings, "
        f"{sum(untied_pairs(row['ranks']) for row in rankings)} untied pairs of different texts"
    )


def read_gzip_jsonl(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def to_text(value: Any) -> str:
    """JSON text with short ids. What is no JSON in the source stays as it is written there."""
    if isinstance(value, str):
        return LONG_ID.sub(r"\1", " ".join(value.split()))
    return LONG_ID.sub(r"\1", json.dumps(value, ensure_ascii=False))


def parse_json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- dialogues --------------------------------------------------------------------------------------------------


def dialogue_messages(dialogue: dict[str, Any]) -> list[Message]:
    """The dialogue as messages; a function call follows the turn that caused it."""
    messages = []
    for turn in dialogue["utterances"]:
        messages.append({"role": turn["speaker"], "content": to_text(turn["text"])})
        call: str = ""
        for kind, value in turn.get("annotations", []):
            if kind == "api_call":
                call, request = value, {}
            elif kind == "request":
                request = parse_json_or_text(value)
            elif kind == "response":
                messages.append({"role": "assistant", "content": to_text({call: request})})
                messages.append({"role": "tool", "content": to_text({call: parse_json_or_text(value)})})
    return messages


def dialogue_demonstrations(dialogue: dict[str, Any], max_actions: int) -> Iterator[dict[str, Any]]:
    """What the agent did next: its last action, whose prompt is the whole dialogue, and some before it.

    Which ones is decided by a hash of the dialogue's id, so that every run takes the same.
    """
    messages = dialogue_messages(dialogue)
    positions = [
        position
        for position, message in enumerate(messages)
        if message["role"] == "assistant" and position and messages[position - 1]["role"] in ("user", "tool")
    ]
    name = dialogue["conversation_id"]
    earlier = sorted(
        positions[:-1], key=lambda position: hashlib.sha256(f"{name}/{position}".encode()).digest()
    )
    for position in sorted([*earlier[: max_actions - 1], *positions[-1:]]):
        yield {"prompt": messages[:position], "response": messages[position]["content"]}


# --- ratings ----------------------------------------------------------------------------------------------------


def action_text(turn: dict[str, Any]) -> str:
    return to_text(turn["text"] if "text" in turn else turn.get("api", turn.get("response")))


def parse_rating(row: dict[str, Any]) -> dict[str, Any]:
    turns = json.loads(row["context"])
    if turns and turns[0].get("text", "").startswith(WELCOME):
        turns = turns[1:]
    return {
        "uid": row["uid"],
        "prompt": [{"role": ROLES[turn["role"]], "content": action_text(turn)} for turn in turns],
        "response": action_text(json.loads(row["generation"])),
        "reward": row["reward"],
    }


def group_by_context(ratings: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    contexts = defaultdict(list)
    for row in ratings:
        contexts[json.dumps(row["prompt"])].append(row)
    return {f"context-{number}": rows for number, rows in enumerate(contexts.values())}


def build_rankings(name: str, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A context's different texts as rankings of two tiers, if it has both ratings.

    Equal texts are one response. With more than MAX_RESPONSES texts, the rarer rating's go into every
    ranking and the others' are dealt out: no pair of a good and a bad answer is lost or counted twice.
    """
    rewards: dict[str, set[float]] = defaultdict(set)
    for row in rows:
        rewards[row["response"]].add(row["reward"])
    good = [text for text, given in rewards.items() if given == {1.0}]
    bad = [text for text, given in rewards.items() if given == {0.0}]
    if not good or not bad:
        return
    rarer, others = sorted((good, bad), key=len)
    rarer = rarer[: MAX_RESPONSES - 1]
    others_per_ranking = MAX_RESPONSES - len(rarer)
    for number, start in enumerate(range(0, len(others), others_per_ranking)):
        responses = [*rarer, *others[start : start + others_per_ranking]]
        ranks = [0 if rewards[text] == {1.0} else 1 for text in responses]
        yield {"id": f"{name}/{number}", "prompt": rows[0]["prompt"], "responses": responses, "ranks": ranks}


def untied_pairs(ranks: list[int]) -> int:
    return ranks.count(0) * ranks.count(1)


if __name__ == "__main__":
    main()
