"""DeepSpeed's compiled extension, built by one process at a time, whatever was killed in the middle of it before."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.cpp_extension import _get_build_directory


def load_deepspeed_extension() -> None:
    """Load what `deepspeed.initialize` will ask for; the first time on a machine it is compiled, for a minute."""
    from deepspeed.accelerator import get_accelerator
    from deepspeed.ops import __compatible_ops__

    builder = get_accelerator().create_op_builder("ShareMemCommBuilder")
    if builder is None or not __compatible_ops__.get(builder.NAME, False):
        return
    with sole_builder(Path(_get_build_directory(builder.name, verbose=False))):
        builder.load(verbose=False)


@contextmanager
def sole_builder(folder: Path) -> Iterator[None]:
    """Until the block ends no other process of ours builds in `folder`.

    PyTorch marks a build with a file `lock`, which a killed process leaves behind, and whoever comes next waits for
    its end for ever and without a word. A lock of the kernel's ends with its process: who holds it removes old marks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "builder", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (folder / "lock").unlink(missing_ok=True)
        yield
