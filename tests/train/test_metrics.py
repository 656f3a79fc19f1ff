"""The metrics file and what the reader sees."""

import json

import pytest

from duomem_jax.train.watch import metrics
from duomem_jax.train.watch.goodput import Stopwatch
from duomem_jax.train.watch.metrics import Mark, MetricsLog
from duomem_jax.train.watch.writers import JsonLines


def make(path, start=0, steps=4):
    writers, watch = [JsonLines(path, start)], Stopwatch()
    watch.switch("step")
    return MetricsLog(
        writers, watch, start=start, steps=steps, every=2, rate=lambda step: 10.0**-step
    )


def pairs(loss, weight):
    return {"loss": (loss * weight, weight), "tokens": (100.0, 1.0), "flops": (1e6, 1.0)}


@pytest.fixture
def said(caplog):
    """What a run reports."""
    caplog.set_level("INFO", logger="duomem_jax")
    return caplog


def test_means_are_weighted_by_tokens(tmp_path, said):
    log = make(tmp_path / "m.jsonl")
    log.add(1, pairs(2.0, 30.0))
    log.add(2, pairs(4.0, 10.0))
    record = json.loads((tmp_path / "m.jsonl").read_text())
    assert (record["step"], record["loss"], record["tokens"]) == (2, 2.5, 100.0)
    assert record["learning_rate"] == 0.1
    assert record["tokens_per_s"] > 0
    line = said.messages[1]
    assert line.startswith("step 2/4  loss 2.5000")
    assert "left 0:00:0" in line


def test_the_first_window_says_what_came_before_it(tmp_path, said):
    log = make(tmp_path / "m.jsonl")
    for step in (1, 2, 3, 4):
        log.add(step, pairs(2.0, 30.0))
    first, second = map(json.loads, (tmp_path / "m.jsonl").read_text().splitlines())
    assert "first step after 0." in said.text
    assert first["first_step_seconds"] <= first["seconds"] + first["init_seconds"]
    assert "first_step_seconds" not in second
    assert second["init_seconds"] == second["compile_seconds"] == 0
    assert second["tflops_per_s"] * second["step_seconds"] == pytest.approx(2e-6, rel=1e-4)


def test_a_log_without_writers_prints_nothing(capsys, said):
    log = MetricsLog([], Stopwatch(), start=0, steps=2, every=1, rate=lambda step: 1.0)
    log.add(1, pairs(1.0, 1.0))
    log.close()
    assert capsys.readouterr() == ("", "")
    assert not said.messages


def test_a_terminal_gets_a_bar(tmp_path, capsys, said, monkeypatch):
    monkeypatch.setattr(metrics.sys.stderr, "isatty", lambda: True, raising=False)
    log = make(tmp_path / "m.jsonl")
    for step in range(1, 5):
        log.add(step, pairs(1.0, 1.0))
    log.close()
    shown = capsys.readouterr()
    assert "4/4" in shown.err
    assert "loss 1.0000" in shown.err
    assert not said.messages


def test_other_errors_are_not_called_a_full_disk(tmp_path):
    from duomem_jax.base.disk import explain_full_disk

    with pytest.raises(KeyError), explain_full_disk(tmp_path):
        raise KeyError("x")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Loss:
    """What a dispatch gives."""

    def __init__(self, ready):
        self.ready = ready

    def is_ready(self):
        return self.ready


STEP, FETCH, COMPILE = 10.0, 2.0, 50.0


def run_loop(path, every, steps, computes_at_dispatch):
    """The loop's order of things, with a device that computes at dispatch or behind it."""
    clock, done_at = Clock(), [0.0]
    watch = Stopwatch(clock)

    def fetch():
        with watch.during("data"):
            clock.now += FETCH

    def dispatch(kind):
        with watch.during(kind):
            clock.now += COMPILE if kind == "compile" else 0.0
            done_at[0] = max(clock.now, done_at[0]) + STEP
            if computes_at_dispatch:
                clock.now = done_at[0]
        return done_at[0], Mark.of(watch, Loss(computes_at_dispatch))

    log = MetricsLog(
        [JsonLines(path, 0)], watch, start=0, steps=steps, every=every, rate=lambda step: 1.0
    )
    fetch()
    unread = None
    for step in range(1, steps + 1):
        at, mark = dispatch("compile" if step == 1 else "step")
        if step < steps:
            fetch()
        watch.switch("step")
        for number, ready, its_mark in filter(None, [unread, step == steps and (step, at, mark)]):
            clock.now = max(clock.now, ready)  # reading waits
            log.add(number, pairs(1.0, 1.0), its_mark)
        unread = (step, at, mark)
    log.close()
    return [json.loads(line) for line in path.read_text().splitlines()], clock.now


@pytest.mark.parametrize("every", [1, 2, 4, 5])
@pytest.mark.parametrize("computes_at_dispatch", [True, False])
def test_each_window_has_the_time_of_its_own_steps(tmp_path, said, every, computes_at_dispatch):
    records, total = run_loop(tmp_path / "m.jsonl", every, 9, computes_at_dispatch)
    # 100 tokens a step. Behind a device that computes meanwhile, fetching takes no time; the first
    # fetches are counted all the same, and so a short window may be off by one of them.
    right = 100 / (STEP + FETCH) if computes_at_dispatch else 100 / STEP
    first, *others = (record["tokens_per_s"] for record in records)
    assert others == pytest.approx([right] * len(others), rel=0.25)
    # All there is to say of a step that was compiled and computed in one is how long it took.
    alone = 100 / (FETCH + COMPILE + STEP) if computes_at_dispatch and every == 1 else right
    assert first == pytest.approx(alone, rel=0.25)
    assert sum(r["seconds"] for r in records) == pytest.approx(total, rel=0.01)
    assert records[0]["first_step_seconds"] == pytest.approx(FETCH + COMPILE + STEP)
