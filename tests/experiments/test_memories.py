"""MemLoRA as one command: on generated dialogues, on LoCoMo's form of them, and again."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import get_args

import pytest
from made_up_locomo import CONVERSATION

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.evals.dialogues.assistant import Shown
from duomem_jax.experiments.memories.experiment import (
    ALL_EXPERTS,
    GOLD_ANSWERED,
    GOLD_LOOKED,
    NO_EXPERTS,
    READERS,
    ROWS,
    without,
)
from duomem_jax.experiments.memories.folds import Conversations, Generated, all_lessons
from duomem_jax.experiments.memories.run import run_memories
from duomem_jax.experiments.program import next_steps
from duomem_jax.experiments.remember import NEXT, remember_experiment, remember_training
from duomem_jax.memory.operations.names import OPERATIONS
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.answers import collect_answers
from duomem_jax.records.dialogues import SEEN, TOLD
from duomem_jax.records.talked import read_dialogues
from duomem_jax.tiny.seer.start import write_start
from duomem_jax.train.config import load_config
from duomem_jax.worlds.dialogues import Size

FEW = Generated(learnt=2, asked=1, size=Size(sessions=3, turns=8, questions=3))


def small(out, **fields):
    """The miniature, shrunk to seconds."""
    e = remember_experiment(str(out))
    # The tests see several devices, and a batch of one row has no use for them.
    mesh = MeshConfig(data=1)
    train = dataclasses.replace(e.extract, steps=1, global_batch=1, checkpoint_every=1, mesh=mesh)
    shrunk = dict.fromkeys(OPERATIONS, train)
    return dataclasses.replace(
        e, **({"dialogues": FEW, "tokens": 60, "workers": 1} | shrunk | fields)
    )


def locomo(folder, count=3):
    """A file of so many conversations."""
    told = []
    for i in range(count):
        told.append(copy.deepcopy(CONVERSATION) | {"sample_id": f"conv-{i}"})
    file = Path(folder) / "locomo.json"
    file.write_text(json.dumps(told))
    return str(file)


def test_rows_differ_in_what_is_shown_and_in_their_experts(tmp_path):
    e = small(tmp_path)
    (fold,) = e.dialogues.folds(tmp_path / "dialogues")
    rows = {name: e.assistant(name, fold, seed=0) for name in READERS}
    experts = {name: {o for o, f in row.models.experts.items() if f} for name, row in rows.items()}
    assert experts[NO_EXPERTS] == set()
    assert experts[ALL_EXPERTS] == set(OPERATIONS)
    for operation in OPERATIONS:
        assert experts[without(operation)] == set(OPERATIONS) - {operation}
    # One model, and one budget for turns and for memories.
    assert len({(row.models.model, row.tokens, row.embedder) for row in rows.values()}) == 1
    assert {row.shown for row in rows.values()} == set(get_args(Shown))


def test_no_expert_learns_from_what_it_is_asked_about(tmp_path):
    talk = Conversations(locomo(tmp_path, count=4), omit=("conv-3",), generated=FEW)
    folds = talk.folds(tmp_path / "dialogues")

    def ids(folder):
        return {dialogue.id for dialogue in read_dialogues(folder)}

    assert [ids(fold.asked) for fold in folds] == [{"conv-0"}, {"conv-1"}, {"conv-2"}]
    for fold in folds:
        for operation in ("extract", "answer"):
            lessons = fold.lessons[operation]
            learnt = set().union(*map(ids, lessons.learnt))
            assert learnt | ids(lessons.validation) | ids(fold.asked) == {
                *("conv-0", "conv-1", "conv-2"),
            }
            assert not learnt & (ids(lessons.validation) | ids(fold.asked))
    # What a fact changes is learnt once, for all.
    assert sorted(name for operation, name in all_lessons(folds) if operation == "update") == [
        "generated"
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"omit": ("conv-0",)}, "one is asked about, one says when to stop"),
        ({"asked": ("conv-9",)}, "no conversation conv-9"),
    ],
)
def test_too_few_and_unknown_conversations_are_refused(fields, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        Conversations(locomo(tmp_path), **fields).folds(tmp_path / "dialogues")


def test_an_unknown_row_is_refused(tmp_path):
    with pytest.raises(UserError, match="no row hindsight"):
        small(tmp_path, rows=("hindsight",))


def test_conversations_are_asked_about_with_experts_of_each_fold_and_seed(tmp_path, caplog):
    rows = ("gold evidence", "gold evidence, answer expert")
    talk = Conversations(locomo(tmp_path), asked=("conv-0", "conv-2"), generated=FEW)
    e = small(tmp_path / "out", dialogues=talk, patience=1, seeds=(0, 1), rows=rows)
    report = run_memories(e)
    said = [a for folder in (tmp_path / "out/answers").iterdir() for a in collect_answers(folder)]
    assert {(a.subject, a.seed) for a in said} == {(rows[0], 0), (rows[1], 0), (rows[1], 1)}
    assert {a.dialogue for a in said} == {"conv-0", "conv-2"}
    # What no row needs is not learnt.
    assert [folder.name for folder in (tmp_path / "out/experts").iterdir()] == ["answer"]
    first = report.read_text()
    assert all(f"| {name} " in first for name in rows)
    caplog.clear()
    with caplog.at_level("INFO"):
        assert run_memories(e).read_text() == first
    assert not [message for message in caplog.messages if "written" in message]


@pytest.mark.slow
def test_remember_prints_the_report_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("duomem_jax.experiments.remember.remember_experiment", small)
    out = str(tmp_path / "out")
    cli.main(["remember", out])
    report = (tmp_path / "out/report.md").read_text()
    assert report in capsys.readouterr().out
    assert (tmp_path / "out/f1.png").stat().st_size > 1000
    assert {a.subject for a in collect_answers(f"{out}/answers/generated")} == set(ROWS)
    assert all(f"| {name} " in report for name in ROWS)

    cli.main(["remember", out])
    printed = capsys.readouterr().out
    assert report in printed
    assert "What to run next" in printed

    def other(out):
        return small(out, dialogues=dataclasses.replace(FEW, learnt=3))

    monkeypatch.setattr("duomem_jax.experiments.remember.remember_experiment", other)
    with pytest.raises(SystemExit) as ended:
        cli.main(["remember", out])
    assert ended.value.code == 2
    assert "count" in capsys.readouterr().err


def test_the_next_steps_train_the_expert_that_was_trained(tmp_path):
    e = remember_experiment("runs/remember")
    assert load_config("configs/remember.py") == remember_training("runs/remember")
    text = next_steps(NEXT, "runs/remember")
    (fold,) = small(tmp_path).dialogues.folds(tmp_path / "dialogues")
    config = e.training("extract", fold.lessons["extract"], seed=0)
    assert config == remember_training("runs/remember")
    assert f"--data {config.data} " in text
    for operation in OPERATIONS:
        adapter = f"{e.training(operation, fold.lessons[operation], seed=0).output}/adapter"
        assert f"--{operation} {adapter}" in text


@pytest.mark.slow
def test_an_expert_looks_where_another_one_reads_captions(tmp_path):
    write_start(tmp_path / "seer", model_folder("tiny-listener"))
    shared = Generated(learnt=2, asked=1, size=Size(sessions=2, turns=8, questions=2), pictures=2)
    e = small(tmp_path / "run", model=str(tmp_path / "seer"), dialogues=shared)
    e = dataclasses.replace(e, look=e.extract, rows=(GOLD_ANSWERED, GOLD_LOOKED))
    text = run_memories(e).read_text()
    assert "| picture, told" in text
    section = text[text.index("## Pictures") :]
    assert section.count(f"| {GOLD_LOOKED} - {GOLD_ANSWERED} ") >= 2
    answers = collect_answers(tmp_path / "run/answers/generated")
    read = {a.question.id: a.cost.prompt_tokens for a in answers if a.subject == GOLD_ANSWERED}
    looked = [a for a in answers if a.subject == GOLD_LOOKED]
    assert {a.question.kind for a in looked} > {SEEN, TOLD}
    for answer in looked:
        # The evidence of a question in words may be a turn that shares a picture, too.
        if answer.question.kind in (SEEN, TOLD):
            assert answer.cost.prompt_tokens != read[answer.question.id]
    with pytest.raises(UserError, match="has an expert of pictures; give look, or omit it"):
        dataclasses.replace(e, look=None)
