import subprocess
import sys

import pytest

from tests.learning.running import ROOT, environment

LEAVING = """
import atexit
from learning.distributed import DistributedContext
from learning.distributed import exit_process
from learning.interface.training_options import RuntimeOptions

DistributedContext.start(RuntimeOptions(backend="{backend}"))
atexit.register(print, "unwound")
print("said before")
exit_process({code}, is_orderly={is_orderly})
"""


@pytest.mark.parametrize(("code", "is_orderly"), [(0, True), (75, False)])
@pytest.mark.parametrize(
    ("backend", "expected"), [("deepspeed", "said before\n"), ("torch", "said before\nunwound\n")]
)
def test_a_process_of_a_group_leaves_with_all_said_and_without_unwinding_the_interpreter(
    backend, expected, code, is_orderly
):
    """Unwinding aborts now and then: threads of the group let go of tensors while it goes on."""
    script = LEAVING.format(backend=backend, code=code, is_orderly=is_orderly)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (code, expected), done.stderr
