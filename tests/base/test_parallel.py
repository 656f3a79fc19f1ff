"""Workers are processes that each see their own share of the machine."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def tell_and_sleep(folder, index):
    (folder / str(index)).write_text(str(os.getpid()))
    time.sleep(60)


def die(index):
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


# A command whose jobs wait; run as a script, so that its workers can import it.
SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}, {root!r}]
from test_parallel import tell_and_sleep
from duomem_jax.base.commandline import run_command
from duomem_jax.base.parallel import run_all

if __name__ == "__main__":
    jobs = [(Path(sys.argv[1]), i) for i in range(3)]
    sys.exit(run_command("test", lambda: run_all(tell_and_sleep, jobs, 2)))
"""


@pytest.fixture
def at_work(tmp_path):
    """A command in a process group of its own, and the processes of its two workers."""
    here = Path(__file__)
    script, marks = tmp_path / "command.py", tmp_path / "marks"
    script.write_text(SCRIPT.format(here=str(here.parent), root=str(here.parents[2])))
    marks.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(marks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len([f for f in marks.iterdir() if f.read_text()]) == 2)
    yield process, [int(f.read_text()) for f in marks.iterdir()]
    process.kill()
    process.wait()


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("send", [os.killpg, os.kill])  # a terminal's Ctrl-C, and one by its id
def test_ctrl_c_ends_all_with_one_sentence(at_work, send):
    process, workers = at_work
    send(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out == "test: stopped; run the same command again to continue\n"
    assert process.returncode == 2
    wait_until(lambda: not any(map(is_running, workers)))


def test_workers_end_with_the_process_that_started_them(at_work):
    process, workers = at_work
    process.kill()
    wait_until(lambda: not any(map(is_running, workers)))


def test_a_worker_that_is_killed_is_one_sentence(capsys):
    assert run_command("test", lambda: run_all(die, [(0,), (1,), (2,)], 2)) == 2
    error = capsys.readouterr().err
    assert error.startswith("test: one of 2 worker processes was killed")
    assert error.count("\n") == 1
