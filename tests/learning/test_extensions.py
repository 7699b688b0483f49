"""A build that was killed keeps nobody waiting; a build under way does."""

import fcntl
import threading

from learning.extensions import sole_builder


def test_the_mark_of_a_killed_build_is_removed(tmp_path):
    folder = tmp_path / "deepspeed_shm_comm"
    folder.mkdir()
    (folder / "lock").touch()  # as PyTorch marks a build; its process is gone
    with sole_builder(folder):
        assert not (folder / "lock").exists()


def test_a_build_under_way_is_waited_for_and_its_mark_stays(tmp_path):
    done = threading.Event()

    def build():
        with sole_builder(tmp_path):
            done.set()

    with open(tmp_path / "builder", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (tmp_path / "lock").touch()
        other = threading.Thread(target=build)
        other.start()
        assert not done.wait(0.2) and (tmp_path / "lock").exists()
    other.join(150)
    assert done.is_set() and not (tmp_path / "lock").exists()
