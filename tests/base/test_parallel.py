"""Workers are processes that each see their own share of the machine."""

import logging
import os
import time

import pytest

from duomem_jax.base.commandline import run_command
from duomem_jax.base.parallel import _share_of, run_all


def meet(folder, index, count):
    """What this process may use, told once `count` processes are here at the same time."""
    (folder / str(index)).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return index, os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"], os.sched_getaffinity(0)


def report(index):
    logging.getLogger("duomem_jax.jobs").info("job %d reports", index)


def fail(number):
    raise ValueError(f"job {number}")


def test_run_all_gives_each_worker_its_own_share(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8f3")
    found = run_all(meet, [(tmp_path, i, 2) for i in range(2)], workers=2)
    order, processes, devices, cores = zip(*found, strict=True)
    assert order == (0, 1)
    assert len({os.getpid(), *processes}) == 3
    assert sorted(devices) == ["5", "GPU-8f3"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,GPU-8f3"
    assert set.union(*cores) == os.sched_getaffinity(0)
    if len(os.sched_getaffinity(0)) > 1:
        assert not cores[0] & cores[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_of_a_command_print_what_they_log(capfd, workers):
    assert run_command("test", lambda: run_all(report, [(0,), (1,)], workers)) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ["job 0 reports", "job 1 reports"]


@pytest.mark.parametrize(
    ("visible", "shares"),
    [
        (None, ["0", "1", "2"]),
        ("3,1,2", ["3", "1", "2"]),
        ("4,7", ["4", "7", "4"]),
        ("", ["", "", ""]),
        ("-1", ["-1", "-1", "-1"]),
    ],
)
def test_each_worker_sees_its_share_of_the_devices(visible, shares):
    assert [_share_of(visible, number) for number in range(3)] == shares


@pytest.mark.parametrize("workers", [1, 2])
def test_run_all_raises_the_first_error(workers):
    with pytest.raises(ValueError, match="job 1"):
        run_all(fail, [(1,), (2,), (3,)], workers)
