"""What a run's results depend on besides its options: recorded at its first start, compared when it goes on."""

from collections.abc import Mapping
from typing import Any

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory

# What must be unchanged for a resumed run to give the same bits. The code may change between two attempts, as a
# correction must be able to reach a run of days: that is recorded and said, and not refused.
COMPARED_ENVIRONMENT = ("python", "packages", "cpu_capability", "device", "threads", "processes", "dtype")
LATER_CODE = "later_code_versions"


def check_environment(run_directory: RunDirectory, present: dict[str, Any]) -> tuple[str, ...]:
    """Record where the run starts, or compare where it goes on with where its checkpoints were made.

    Returns sentences for the run's page: that later code went on with it. Raises UserError for another environment.
    """
    recorded = run_directory.environment()
    if recorded is None or not run_directory.has_partial_results():
        # Nothing that was computed elsewhere goes into the result, so this is the run's first start.
        if recorded is None or {**recorded, "resolved": None} != {**present, "resolved": None}:
            run_directory.record_environment(present)
        return ()
    differences = _differences(recorded, present)
    if differences:
        raise UserError(
            f"{run_directory.path}: the checkpoints were made with {differences}; resuming would not give the "
            "same result, so clone this run to start it anew"
        )
    versions = [recorded.get("code_version"), *recorded.get(LATER_CODE, [])]
    if present.get("code_version") != versions[-1]:
        versions.append(present.get("code_version"))
        run_directory.record_environment({**recorded, LATER_CODE: versions[1:]})
    if len(versions) == 1:
        return ()
    return (
        f"Begun with the program {versions[0]} and gone on with {', then '.join(map(str, versions[1:]))}: started "
        "anew, it may give other results.",
    )


def _differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    parts = []
    for key in COMPARED_ENVIRONMENT:
        before, now = recorded.get(key), present.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            for name in sorted(before.keys() | now.keys()):
                if before.get(name) != now.get(name):
                    parts.append(f"{name} {before.get(name)} (now {now.get(name)})")
        elif before != now:
            parts.append(f"{key} {before} (now {now})")
    return ", ".join(parts)
