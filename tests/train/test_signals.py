"""Who is told to end saves first, and the same command goes on."""

import os
import signal
import threading
import time

import pytest

import train
from duomem_jax.train.watch.preemption import notice

MANY = 10_000  # steps, more than there is time for


@pytest.fixture(autouse=True)
def hangups_count():
    """Also under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send_when_training(output, number):
    """In a thread, as this one trains: send a signal once there is a record of metrics."""

    def send():
        deadline = time.monotonic() + 60
        while not (output / "metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_ends(config_file, tmp_path, capfd, number):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    command = ["--config", str(config_file), "--checkpoint_every", str(MANY), "--log_every", "1"]
    sender = send_when_training(tmp_path / "out", number)
    assert train.main([*command, "--steps", str(MANY)]) == 75
    sender.join()
    out, err = capfd.readouterr()
    assert "train.py: told to end; saved at step " in err
    assert "Traceback" not in out + err
    assert ("stopping after this step" in err) == (number == signal.SIGINT)
    saved = int(err.partition("saved at step ")[2].partition(",")[0])
    assert saved > 0
    assert (tmp_path / "out" / "checkpoints" / str(saved)).exists()
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


def test_a_second_ctrl_c_does_not_wait():
    with notice() as heard:
        assert not heard(1)
        os.kill(os.getpid(), signal.SIGINT)
        assert heard(1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_so(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with notice() as heard:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not heard(1)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
