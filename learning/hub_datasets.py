"""python -m learning.hub_datasets NAME OUT [--config C] [--split S ...] [--revision R]

A dataset of the Hugging Face hub, or a folder laid out like one, saved to OUT in the form of `datasets`
(save_to_disk), for whoever reads files and has no such library. Runs no code of the dataset. Exits as training
commands do: 2 and one sentence for whatever the name is to blame for.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from learning.interface.exit_codes import EXIT_USER_ERROR


def save_dataset(
    name: str, out: Path, *, config: str | None, splits: Sequence[str], revision: str | None
) -> None:
    """Saves the dataset with all its splits, or those named."""
    from datasets import DatasetDict, disable_progress_bars, load_dataset

    disable_progress_bars()
    loaded = load_dataset(name, config, revision=revision)
    unknown = [split for split in splits if split not in loaded]
    if unknown:
        raise ValueError(f"there is no split {unknown[0]}; there are {', '.join(loaded)}")
    DatasetDict({split: loaded[split] for split in (splits or loaded)}).save_to_disk(str(out))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="learning.hub_datasets")
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--config")
    parser.add_argument("--split", action="append", default=[])
    parser.add_argument("--revision")
    options = parser.parse_args(argv)
    try:
        save_dataset(
            options.name, options.out, config=options.config, splits=options.split, revision=options.revision
        )
    except ModuleNotFoundError as error:
        print(
            f"the package {error.name} is not installed: it comes with the training packages", file=sys.stderr
        )
        return EXIT_USER_ERROR
    # Whatever the hub, the network or the dataset's files are to blame for comes as one of many classes.
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        print(lines[0].rstrip("."), file=sys.stderr)
        return EXIT_USER_ERROR
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The library's threads would hold the process up.
    os._exit(code)
