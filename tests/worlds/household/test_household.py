"""The household as one of the worlds: what it tells the rest of the code."""

from collections import Counter

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds import WORLDS, open_world
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.engine.commands import BLOCKS
from duomem_jax.worlds.household.game import TASK_TYPES
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.world import Household


def test_every_task_type_has_a_short_name():
    assert tuple(Household.kinds) == TASK_TYPES
    assert len(set(Household.kinds.values())) == len(TASK_TYPES)


def test_the_play_prompt_knows_every_verb():
    """What the engine understands, but for slicing, which no task asks for, and help."""
    told = {line[2:].split()[0] for line in Household.prompt.splitlines() if line.startswith("- ")}
    assert told == set(BLOCKS) - {"slice", "help"}
    assert "Action:" in Household.prompt


def test_the_engine_is_an_option_of_the_world(tmp_path):
    assert WORLDS["household"]("").engine == "fast"
    assert Games("p", engine="textworld").open_world().version.startswith("textworld ")
    assert open_world("household").config == {"name": "household", "engine": "fast"}
    with pytest.raises(UserError, match="no engine 'slow'; choose one of fast, textworld"):
        Games("p", engine="slow").open_world()
    with pytest.raises(UserError, match="no world 'attic'; choose one of household"):
        Games("p", world="attic").open_world()


def test_generated_games_are_found_again_and_each_is_a_group(tmp_path):
    world = Household()
    assert world.generate(tmp_path / "games", 3, seed=1) == 3
    tasks = world.tasks(tmp_path / "games")
    assert [task.id for task in tasks] == [game.id for game in load_games(tmp_path / "games")]
    assert all(task.group == task.id for task in tasks)
    spread = Games(str(tmp_path / "games"), limit=2).load()
    assert [task.id for task in spread] == [tasks[0].id, tasks[1].id]


def test_few_of_each_kind_are_drawn_and_more_of_them_hold_the_same(tmp_path):
    Household().generate(tmp_path / "games", 40, seed=1)

    def drawn(n, draw=0):
        games = Games(str(tmp_path / "games"), per_kind=n, draw=draw).load()
        assert games == sorted(games, key=everything.index)
        return games

    everything = Games(str(tmp_path / "games")).load()
    there = Counter(game.kind for game in everything)
    for n in (1, 2, 100):
        assert Counter(game.kind for game in drawn(n)) == {k: min(n, c) for k, c in there.items()}
    one, two = ({game.id for game in drawn(n)} for n in (1, 2))
    assert one < two
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(1, draw=1)
