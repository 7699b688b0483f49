"""How a command ended, in words."""

from pathlib import Path

from learning.interface.exit_codes import EXIT_STALE_FENCE
from learning.interface.plain_files import read_tail
from runs.launchers import OUTPUT_FILE

TAIL_BYTES = 4000


def last_output_line(run_path: Path) -> str:
    """The last line the command printed: all there is when it ended before it could write a status."""
    try:
        lines = read_tail(run_path / OUTPUT_FILE, TAIL_BYTES).decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def describe_exit(code: int, last_line: str) -> str:
    if code == EXIT_STALE_FENCE:
        return "The command left because its folder is gone, or was given to another attempt."
    if code < 0:
        hint = " (often: the machine ran out of memory)" if code == -9 else ""
        return f"The command was ended by signal {-code}{hint}."
    return f"The command ended with exit code {code}{': ' + last_line if last_line else ' without a word'}."


def describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
