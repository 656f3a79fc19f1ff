"""The metrics file and what the reader sees."""

import json

import pytest

from duomem_jax.train import metrics
from duomem_jax.train.metrics import MetricsLog


def make(path, start=0, steps=4):
    return MetricsLog(path, start=start, steps=steps, every=2, rate=lambda step: 10.0**-step)


def pairs(loss, weight):
    return {"loss": (loss * weight, weight), "tokens": (100.0, 1.0)}


def test_means_are_weighted_by_tokens(tmp_path, capsys):
    log = make(tmp_path / "m.jsonl")
    log.add(1, pairs(2.0, 30.0))
    log.add(2, pairs(4.0, 10.0))
    record = json.loads((tmp_path / "m.jsonl").read_text())
    assert (record["step"], record["loss"], record["tokens"]) == (2, 2.5, 100.0)
    assert record["learning_rate"] == 0.1
    assert record["tokens_per_s"] > 0
    line = capsys.readouterr().out
    assert line.startswith("step 2/4  loss 2.5000")
    assert "left 0:00:0" in line


def test_records_after_the_checkpoint_are_dropped_on_restart(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    make(path, start=4)
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n'


def test_a_terminal_gets_a_bar(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metrics.sys.stderr, "isatty", lambda: True, raising=False)
    log = make(tmp_path / "m.jsonl")
    for step in range(1, 5):
        log.add(step, pairs(1.0, 1.0))
    log.close()
    shown = capsys.readouterr()
    assert "4/4" in shown.err
    assert "loss 1.0000" in shown.err
    assert shown.out == ""


def test_other_errors_are_not_called_a_full_disk(tmp_path):
    from duomem_jax.train.disk import explain_full_disk

    with pytest.raises(KeyError), explain_full_disk(tmp_path):
        raise KeyError("x")
