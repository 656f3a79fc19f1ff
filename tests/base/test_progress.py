import io

from duomem_jax.base import progress
from duomem_jax.base.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_are_rare_and_tell_rate_and_rest(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    with Progress(100, "lora, seed 0", out) as bar:
        for i in range(100):
            clock[0] += 1.0
            bar.add(i % 2 == 0)
    lines = out.getvalue().splitlines()
    assert lines[0] == "lora, seed 0: 30/100 games, 15 won, 60.0 games/min, 70 s left"
    assert len(lines) == 4
    assert lines[-1] == "lora, seed 0: 100/100 games, 50 won, 100.0 s, 60.0 games/min"


def test_of_an_instant_there_is_no_rate(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    with Progress(8, "memories", out, good="written") as bar:
        for _ in range(8):
            clock[0] += 0.01
            bar.add(True)
    assert out.getvalue() == "memories: 8/8 games, 8 written, 0.1 s\n"


def test_work_that_ends_early_tells_what_is_left(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    with Progress(8, "x", out) as bar:
        clock[0] = 4.0
        bar.add(True)
        bar.add(False)
    assert out.getvalue() == "x: 2/8 games, 1 won, 30.0 games/min, 12 s left\n"


def test_a_stream_that_takes_nothing_ends_no_work():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    with Progress(1, "x", Full()) as bar:
        bar.add(True)


def test_the_word_for_good_items_can_be_chosen():
    out = io.StringIO()
    with Progress(1, "parity", out, good="equal") as bar:
        bar.add(True)
    assert out.getvalue().startswith("parity: 1/1 games, 1 equal")


def test_a_terminal_gets_a_bar():
    out = Terminal()
    with Progress(3, "x", out) as bar:
        bar.total -= 1
        bar.add(True)
        bar.add(False)
    assert "2/2" in out.getvalue()
    assert "1 won" in out.getvalue()


def test_progress_of_zero_items_prints_nothing():
    out = io.StringIO()
    with Progress(0, "x", out):
        pass
    assert out.getvalue() == ""


def test_the_unit_can_be_chosen():
    out = io.StringIO()
    with Progress(2, "base, train", out, good="extractable", unit="window") as bar:
        bar.add(False)
        bar.add(True)
    assert out.getvalue() == "base, train: 2/2 windows, 1 extractable, 0.0 s\n"
