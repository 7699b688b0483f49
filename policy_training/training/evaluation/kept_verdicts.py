"""A judge's verdicts, kept on the disk as they come: a run that is started again asks for the others alone."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from learning.interface.run_directory import StaleFence
from policy_training.training.rewards.judging import (
    Comparison,
    Judge,
    Judged,
    both_orders,
    require_a_verdict,
    totals_of,
)
from policy_training.training.servers.requests import Usage

Key = tuple[str, int, int, int]
SECONDS_BETWEEN_REPORTS = 10.0  # each counts all verdicts


def _key(items: Sequence[str], one: Comparison) -> Key:
    return items[one.prompt], one.first, one.second, one.repeat


class VerdictFile:
    """One verdict a line, appended. A last line that was cut off, because the machine stopped, goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verdicts: dict[Key, Judged] = {}
        found = path.read_bytes() if path.exists() else b""
        if (whole := found.rfind(b"\n") + 1) < len(found):
            os.truncate(path, whole)
        for line in found[:whole].splitlines():
            row = json.loads(line)
            usage = Usage(prompt_tokens=row["prompt_tokens"], completion_tokens=row["reply_tokens"])
            self.verdicts[row["item"], row["first"], row["second"], row["repeat"]] = Judged(
                verdict=row["verdict"], usage=usage, requests=row["requests"], seconds=row["seconds"]
            )

    def add(self, key: Key, judged: Judged) -> None:
        """On the disk when it returns."""
        row = dict(zip(("item", "first", "second", "repeat"), key, strict=True)) | {
            "verdict": judged.verdict,
            "prompt_tokens": judged.usage.prompt_tokens,
            "reply_tokens": judged.usage.completion_tokens,
            "requests": judged.requests,
            "seconds": judged.seconds,
        }
        with open(self.path, "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.verdicts[key] = judged

    def of(
        self, items: Sequence[str], groups: Sequence[Sequence[str]], repeats: int
    ) -> dict[Comparison, Judged]:
        """The verdicts on every pair of each item's answers in both orders, which must all be there."""
        asked = both_orders([len(group) for group in groups], repeats)
        return {one: self.verdicts[_key(items, one)] for one in asked}


def judge_missing(
    judge: Judge,
    kept: VerdictFile,
    items: Sequence[str],
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    groups: Sequence[Sequence[str]],
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Asks for what is not kept yet of every pair of each item's answers in both orders; `items` are names that a run
    started again has as well. The judge's totals become those of all that is kept.
    """
    asked = both_orders([len(group) for group in groups], judge.options.repeats)
    missing = [one for one in asked if _key(items, one) not in kept.verdicts]

    def tell() -> None:
        judge.totals = totals_of(kept.verdicts)
        judge.write_report()

    told_at = time.monotonic()

    def keep(one: Comparison, judged: Judged) -> None:
        nonlocal told_at
        kept.add(_key(items, one), judged)
        on_progress(len(kept.verdicts), len(asked))
        if time.monotonic() - told_at > SECONDS_BETWEEN_REPORTS:
            tell()
            told_at = time.monotonic()

    try:
        judge.server.ask_all(
            missing,
            lambda one: judge.compare(
                conversations[one.prompt],
                groups[one.prompt][one.first],
                groups[one.prompt][one.second],
                seed=f"{one.repeat}",
            ),
            on_answer=keep,
            check=check,
        )
    except StaleFence:  # another attempt writes this run's files now
        raise
    except BaseException:
        tell()  # all that was ever answered is paid for
        raise
    if missing or not judge.totals.comparisons:
        tell()


def judge_all(
    judge: Judge,
    kept: VerdictFile,
    items: Sequence[str],
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    groups: Sequence[Sequence[str]],
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> dict[Comparison, Judged]:
    """As judge_missing, and all verdicts. Raises UserError where no reply at all was understood: then it is not the
    answers that are unclear.
    """
    judge_missing(judge, kept, items, conversations, groups, on_progress=on_progress, check=check)
    judged = kept.of(items, groups, judge.options.repeats)
    require_a_verdict(judge.options, judged.values())
    return judged
