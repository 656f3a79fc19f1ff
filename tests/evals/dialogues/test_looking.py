"""Assistants that look at the pictures of dialogues, from the command line to their answers."""

import pytest

from duomem_jax import cli
from duomem_jax.memory.store.store import Store
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.answers import collect_answers
from duomem_jax.records.dialogues import SEEN, TOLD
from duomem_jax.records.talked import read_dialogues
from duomem_jax.tiny.seer.start import write_start


@pytest.fixture(scope="module")
def seer(tmp_path_factory):
    """A model that sees and has learnt nothing."""
    folder = tmp_path_factory.mktemp("seer") / "model"
    write_start(folder, model_folder("tiny-listener"))
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A small dialogue with two pictures."""
    folder = tmp_path_factory.mktemp("told") / "dialogues"
    size = ("--size.sessions", 2, "--size.turns", 8, "--size.questions", 5)
    run("dialogues", folder, "--count", 1, "--seed", 3, "--pictures", 2, *size)
    return folder


def run(*args):
    cli.main([str(arg) for arg in args])


def ask(out, told, seer, shown, *more):
    who = ("--assistant.name", f"{shown}{len(more)}", "--assistant.model", seer)
    run("locomo", "run", out, "--dialogues", told, *who, "--assistant.shown", shown, *more)


def test_questions_about_pictures_are_answered_from_these(told, seer, tmp_path):
    ask(tmp_path, told, seer, "evidence")
    ask(tmp_path, told, seer, "evidence", "--assistant.pictures")
    answers = {(a.subject, a.question.id): a for a in collect_answers(tmp_path)}
    (dialogue,) = read_dialogues(told)
    pictured = {turn.id for _, turn in dialogue.turns() if turn.picture}
    about = [q for q in dialogue.questions if pictured & {*q.evidence}]
    assert {q.kind for q in about} >= {SEEN, TOLD}
    for question in dialogue.questions:
        read, looked = (answers[f"evidence{n}", question.id] for n in (0, 1))
        # A picture takes sixteen tokens and the words around it; the prompts differ, too.
        assert (read.cost.prompt_tokens == looked.cost.prompt_tokens) == (question not in about)


@pytest.mark.parametrize("shown", ["turns", "facts"])
def test_stores_hold_the_pictures_that_are_looked_at(told, seer, tmp_path, shown):
    ask(tmp_path, told, seer, shown, "--assistant.pictures")
    (dialogue,) = read_dialogues(told)
    (file,) = tmp_path.glob("stores/*/*.sqlite")
    with Store.open(file) as store:
        held = {shared.sha256 for entry in store.entries() for shared in entry.pictures}
        assert held == set(dialogue.pictures())
        store.check()


def test_pictures_belong_to_what_is_found(told, seer, tmp_path, capsys):
    with pytest.raises(SystemExit):
        ask(tmp_path, told, seer, "whole", "--assistant.pictures")
    assert "shown is whole; give evidence, turns, facts, memories" in capsys.readouterr().err
