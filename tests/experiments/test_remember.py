"""MemLoRA in miniature on two short dialogues, and again."""

import dataclasses
import sys

import pytest

from duomem_jax import cli
from duomem_jax.experiments.remember import (
    ALL_EXPERTS,
    NO_EXPERTS,
    Remembering,
    assistants,
    expert_training,
    next_steps,
)
from duomem_jax.records.answers import collect_answers
from duomem_jax.train.config import load_config
from duomem_jax.worlds.dialogues import Size

SMALL = Remembering(
    train=2,
    test=1,
    steps=1,
    batch=1,
    length=512,
    tokens=60,
    size=Size(sessions=1, turns=8, questions=3),
)


def test_assistants_differ_in_what_they_are_shown_and_in_their_experts():
    rows = {row.name: row for row in assistants("out", Remembering())}
    experts = {name: {o for o, f in row.models.experts.items() if f} for name, row in rows.items()}
    assert experts[NO_EXPERTS] == set()
    assert experts[ALL_EXPERTS] == {"extract", "update", "answer"}
    for left_out in experts[ALL_EXPERTS]:
        name = f"memories, no {left_out} expert"
        assert experts[name] == experts[ALL_EXPERTS] - {left_out}
    # One budget for turns and for memories.
    assert len({row.tokens for row in rows.values()}) == 1
    assert {row.models.model for row in rows.values()} == {rows[NO_EXPERTS].models.model}
    assert {row.shown for row in rows.values()} == {
        *("nothing", "recent", "whole", "turns", "memories", "evidence"),
    }


@pytest.mark.slow
def test_remember_prints_the_report_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    module = sys.modules["duomem_jax.experiments.remember"]
    monkeypatch.setattr(module, "Remembering", lambda: SMALL)
    out = str(tmp_path / "out")
    cli.main(["remember", out])
    report = (tmp_path / "out/report.md").read_text()
    assert report in capsys.readouterr().out
    assert (tmp_path / "out/f1.png").stat().st_size > 1000
    names = [row.name for row in assistants(out, SMALL)]
    assert {a.subject for a in collect_answers(f"{out}/answers")} == set(names)
    assert all(f"| {name} " in report for name in names)

    cli.main(["remember", out])
    printed = capsys.readouterr().out
    assert "dialogues-train: already there, reused" in printed
    assert report in printed
    assert "What to run next" in printed

    monkeypatch.setattr(module, "Remembering", lambda: dataclasses.replace(SMALL, train=3))
    with pytest.raises(SystemExit) as ended:
        cli.main(["remember", out])
    assert ended.value.code == 2
    assert "count" in capsys.readouterr().err


def test_the_next_steps_train_the_expert_that_was_trained(tmp_path):
    text = next_steps("runs/remember")
    assert "--data runs/remember/extract/rows" in text
    config = load_config("configs/remember.py")
    assert config == expert_training("runs/remember", "extract", Remembering())
