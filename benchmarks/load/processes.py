"""Process trees as /proc knows them: who belongs to a server, and how much CPU they took."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """Of all processes those whose parent it is: not every kernel has a list of children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if (stat := _stat(int(folder.name))) and int(stat[1]) == pid:
            found.append(int(folder.name))
    return found


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def cpu_seconds(pid: int) -> float:
    """Of the tree, with those of its processes that have ended."""
    # utime, stime, cutime, cstime: fields 14 to 17 of the manual, counted behind the name.
    return sum(sum(map(int, stat[11:15])) for process in tree(pid) if (stat := _stat(process))) / TICKS


def resident_mb(pid: int) -> float:
    """Of the tree; pages that are shared count for each process."""
    pages = sum(int(stat[21]) for process in tree(pid) if (stat := _stat(process)))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
