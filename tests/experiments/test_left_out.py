"""Kinds of tasks that adapters do not learn: who plays what, and what is judged."""

import dataclasses

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.experiments.left_out import LeftOut, run_left_out
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.records.demonstrations import demonstration_from_record
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import collect_results
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS, SPLIT
from duomem_jax.stages import Lessons
from duomem_jax.train.config import OnPolicyConfig

LEFT_OUT = ("put", "heat")


@pytest.fixture(scope="module")
def study(tmp_path_factory, small_experiment):
    """A small experiment that leaves two kinds out."""
    small = small_experiment(
        tmp_path_factory.mktemp("left-out"),
        train=(12, 1),
        test=(6, 2),
        recipes=(Recipe(), Recipe("LoRA, lessons", lessons=Lessons(count=3))),
        max_steps=4,
    )
    return LeftOut(small, LEFT_OUT)


@pytest.fixture(scope="module")
def report(study):
    return run_left_out(study)


@pytest.mark.slow
def test_no_adapter_sees_the_kind_that_it_is_judged_on(study, report):
    world = study.experiment.test_games.open_world()
    for short in LEFT_OUT:
        folder = report.parent / "without" / short
        kinds = {episode.kind for episode in read_episodes(folder / f"without-{short}-episodes")}
        assert kinds
        assert short not in {world.kinds[kind] for kind in kinds}
    lessons = read_dataset(
        report.parent / "without" / "heat" / "lessons" / "lora-lessons", SPLIT, DEMONSTRATIONS
    )
    replies = [m["content"] for r in lessons for m in demonstration_from_record(r).messages]
    assert len(lessons) == 3
    assert not [text for text in replies if "heat it" in text.casefold()]


@pytest.mark.slow
def test_each_game_is_judged_with_the_adapters_that_did_not_learn_its_kind(study, report):
    rows = collect_results([report.parent / "results"])
    names = study.experiment.test_games.open_world().kinds
    played = {(r.subject, r.item) for r in rows}
    own = [f"{row}, without {short}" for row in ("LoRA", "both") for short in LEFT_OUT]
    items = {r.item for r in rows}
    assert played >= {(subject, item) for subject in own for item in items}

    def table(folder):
        lines = (folder / "report.md").read_text().splitlines()
        cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if "|" in line]
        # Of the first table: name, games, seeds, success.
        return {c[0]: c[1:4] for c in reversed(cells) if len(c) > 6}

    left_out, learnt = table(report.parent), table(report.parent / "old")
    count = len({r.item for r in rows if names[r.kind] in LEFT_OUT})
    assert 0 < count < len(items)
    for name in ("no memory", "teacher memory", "LoRA", "both", "LoRA, lessons"):
        assert left_out[name][:2] == [str(count), "1"]
        assert learnt[name][:2] == [str(len(items)), "1"]


@pytest.mark.slow
def test_a_second_run_makes_the_same_report(study, report):
    text = report.read_text()
    assert (report.parent / "two_spaces.png").exists()
    assert "| LoRA, lessons + memory - teacher memory " in text
    assert run_left_out(study).read_text() == text


def test_kinds_that_the_world_does_not_have_are_refused(study):
    with pytest.raises(UserError, match="no tasks are about 'warm'; name a kind of tasks"):
        LeftOut(study.experiment, ("warm",))
    for wrong in ((), ("heat", "heat")):
        with pytest.raises(UserError, match="give at least one, and each once"):
            LeftOut(study.experiment, wrong)
    with pytest.raises(UserError, match="leaves out heat itself"):
        LeftOut(dataclasses.replace(study.experiment, left_out="heat"), ("put",))
    own = Recipe("own play", memories="always", on_policy=OnPolicyConfig())
    with pytest.raises(UserError, match="recipe own play would play such games itself"):
        dataclasses.replace(study.experiment, left_out="heat", recipes=(own,))
