import socket
import subprocess
import sys

import pytest
import torch

from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.training_options import RuntimeOptions
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
        timeout=400,
    )
    assert (done.returncode, done.stdout) == (code, expected), done.stderr


def test_a_gpu_that_is_not_there_is_said_with_the_machines_name_and_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as said:
        DistributedContext.start(RuntimeOptions(device="cuda"))
    assert f"{socket.gethostname()} has no GPU" in str(said.value) and "start the worker on" in str(
        said.value
    )
    assert DistributedContext.start(RuntimeOptions(device="auto")).device == torch.device("cpu")


def test_more_processes_than_gpus_are_refused_in_every_one_of_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        for device in ("cuda", "auto"):
            with pytest.raises(UserError, match="2 processes needs 2 GPUs, and .* has 1; ask for"):
                DistributedContext.start(RuntimeOptions(device=device, backend="deepspeed"))
