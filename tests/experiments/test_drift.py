"""Tasks that arrive after training: what each adapter has learnt, and what it is shown."""

import dataclasses
import json

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.data.facts import RowFacts
from duomem_jax.experiments.drift import Drift, run_drift
from duomem_jax.experiments.left_out import LeftOut
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.records.played import read_episodes
from duomem_jax.stages import Lessons, generate
from duomem_jax.worlds.games import Games


@pytest.fixture(scope="module")
def drift(tmp_path_factory, small_experiment):
    """Tasks with countertops arrive at a tiny adapter."""
    small = small_experiment(
        tmp_path_factory.mktemp("drift"),
        train=(16, 1),
        test=(6, 9),
        recipes=(Recipe("reader", memory_share=1.0, lessons=Lessons(count=3)),),
        max_steps=20,
    )
    return Drift(LeftOut(small, ("countertop",)), games=2, old=3, steps=1)


@pytest.fixture(scope="module")
def report(drift):
    return run_drift(drift)


def ids(folder):
    return {episode.game_id for episode in read_episodes(folder)}


@pytest.mark.slow
def test_each_adapter_learns_what_there_is(drift, report):
    new = drift.study.experiment.train_games.about("countertop")
    folder = report.parent / "without" / "countertop"
    everything = ids(report.parent / "teacher-episodes")
    old, few, both = (
        ids(folder / f"{name}-episodes")
        for name in (
            "without-countertop",
            "2-of-countertop-and-3-old",
            "all-with-2-of-countertop",
        )
    )
    assert old == everything - new
    assert (len(few & new), len(few & old), len(few)) == (2, 3, 5)
    assert both == old | (few & new)
    configs = {
        way: json.loads((folder / way / "adapters/reader/seed0/config.json").read_text())
        for way in (".", "trained-on", "trained-again")
    }
    kept, on, again = configs.values()
    assert on["adapter"] == str(folder / "adapters/reader/seed0/adapter")
    assert (kept["adapter"], again["adapter"]) == ("", "")
    assert [c["steps"] for c in configs.values()] == [2, 1, 2]
    # Lessons come with all old games, and not with few.
    won = sum(e.success for e in read_episodes(folder / "2-of-countertop-and-3-old-episodes"))
    assert RowFacts.read(on["data"]).counts["examples"] == won


@pytest.mark.slow
def test_every_way_is_judged_on_new_tasks_and_on_old_ones(drift, report):
    new = drift.study.experiment.test_games.about("countertop")
    names = [
        "no memory",
        "teacher memory",
        "reader",
        "reader + old memories",
        "reader + memory",
        "reader, trained on",
        "reader + memory, trained on",
        "reader, trained again",
        "reader + memory, trained again",
        "teacher",
    ]
    for side, count in ((report.parent, len(new)), (report.parent / "old", 6 - len(new))):
        told = json.loads((side / "report.json").read_text())["subjects"]
        assert 0 < count < 6
        assert {s["subject"]: s["items"] for s in told} == dict.fromkeys(names, count)


def test_tasks_that_the_teacher_never_plays_cannot_arrive(drift, tmp_path):
    generate(str(tmp_path / "games"), count=3, seed=2)
    e = dataclasses.replace(
        drift.study.experiment,
        output=str(tmp_path / "out"),
        train_games=Games(str(tmp_path / "games")),
    )
    assert not e.train_games.about("stoveburner")
    with pytest.raises(UserError, match="games: no game is about stoveburner, so none can arrive"):
        run_drift(Drift(LeftOut(e, ("stoveburner",))))
