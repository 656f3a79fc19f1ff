import functools
import itertools
import json
import random
import re

import pytest

from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.game import TASK_TYPES
from duomem_jax.worlds.household.generate import generate_games, write_games
from duomem_jax.worlds.household.generate.counting import count
from duomem_jax.worlds.household.generate.files import rules
from duomem_jax.worlds.household.generate.statistics import APPLIANCES, ROOMS, parse_id, shipped
from duomem_jax.worlds.household.load import load_games

EXISTING = [(room, t) for room in ROOMS for t in shipped()["rooms"][room]["tasks"]]


def room_of(game):
    return ROOMS[max(parse_id(game.id).scene // 100 - 1, 0)]


@functools.cache
def games_of(room, task_type, seed=1):
    """Those of the first 1,500 games of a seed that are of one kind."""
    games = first_games(seed)
    return [g for g in games if g.kind == task_type and room_of(g) == room]


@functools.cache
def first_games(seed):
    return list(generate_games(1500, seed))


@pytest.fixture(scope="module")
def generated():
    """Statistics of 2,000 generated games."""
    return count(generate_games(2000, 0))


def numbers(table, kind, games):
    """How often how many of a kind there are, rooms without it included."""
    row = dict(table.get(kind, {}))
    return {"0": games - sum(row.values()), **row}


def distance(one, other):
    """Total variation between two rows of counts."""
    a, b = sum(one.values()), sum(other.values())
    keys = one.keys() | other.keys()
    return sum(abs(one.get(k, 0) / a - other.get(k, 0) / b) for k in keys) / 2


def mean(row):
    return sum(int(value) * n for value, n in row.items()) / sum(row.values())


def test_generate_games_depends_on_seed_and_number_alone():
    games = list(generate_games(6, 3))
    assert list(generate_games(4, 3)) == games[:4]
    assert games != list(generate_games(6, 4))
    assert len({g.id for g in games}) == 6
    assert [g.pddl_problem for g in games] == [g.pddl_problem for g in generate_games(6, 3)]


@pytest.mark.parametrize(("room", "task_type"), EXISTING)
def test_walkthrough_wins_with_its_last_command(room, task_type):
    games = games_of(room, task_type)[:8]
    assert games
    for game in games:
        world = FastEngine(game)
        assert world.reset().endswith(f"Your task is to: {game.text}")
        for command in game.walkthrough[:-1]:
            assert command in world.admissible_commands()
            assert not world.step(command)[1], game.id
        assert world.step(game.walkthrough[-1])[1], game.id


def test_wanted_objects_never_start_at_their_target():
    for game in generate_games(300, 6):
        task_type, kind, target, _ = parse_id(game.id)
        where = APPLIANCES.get(task_type, target).removesuffix("Basin")
        assert f"(inReceptacle {kind}_bar" in game.pddl_problem
        assert not re.search(rf"\(inReceptacle {kind}_bar\S* {where}_bar", game.pddl_problem)


def test_generate_games_covers_all_rooms_and_task_types():
    assert {t for _, t in EXISTING} == set(TASK_TYPES)
    assert {(room_of(g), g.kind) for g in generate_games(600, 5)} == set(EXISTING)


def test_generated_rooms_are_as_large_as_real_ones(generated):
    for room, real in shipped()["rooms"].items():
        new = generated["rooms"][room]
        # Each receptacle has one row in `shared`, each object one in `places`.
        for table in ("shared", "places"):
            per_game = [
                sum(sum(row.values()) for row in t[table].values()) / sum(t["scenes"].values())
                for t in (real, new)
            ]
            assert per_game[1] == pytest.approx(per_game[0], rel=0.1), (room, table)


@pytest.mark.parametrize("table", ["receptacles", "objects"])
def test_generated_numbers_per_kind_are_close_to_real_ones(generated, table):
    for room, real in shipped()["rooms"].items():
        new = generated["rooms"][room]
        games = [sum(t["scenes"].values()) for t in (real, new)]
        far = {
            kind: distance(
                numbers(real[table], kind, games[0]), numbers(new[table], kind, games[1])
            )
            for kind in real[table]
        }
        assert max(far.values()) < 0.15, (room, max(far, key=far.get))
        assert sum(far.values()) / len(far) < 0.05, room


@pytest.mark.parametrize(
    ("table", "limit"), [("places", 0.08), ("shared", 0.05), ("openable", 0.02)]
)
def test_generated_places_are_close_to_real_ones(generated, table, limit):
    for room, real in shipped()["rooms"].items():
        new = generated["rooms"][room]
        sizes = {kind: sum(row.values()) for kind, row in real[table].items()}
        far = sum(
            distance(row, new[table].get(kind, {"": 1})) * sizes[kind]
            for kind, row in real[table].items()
        )
        assert far / sum(sizes.values()) < limit, room


def test_generated_walkthroughs_are_as_long_as_real_ones(generated):
    for task_type, real in shipped()["steps"].items():
        assert mean(generated["steps"][task_type]) == pytest.approx(mean(real), rel=0.05)


@pytest.mark.slow
def test_count_of_the_real_games_is_the_shipped_statistics(real_games_dir):
    assert count(load_games(real_games_dir, split="train")) == shipped()


def test_write_games_then_load_games(tmp_path):
    games = list(generate_games(4, 2))
    assert write_games(tmp_path, games) == 4
    again = {g.id: g for g in load_games(tmp_path)}
    assert again == {g.id: g for g in games}
    trajectory = json.loads((tmp_path / games[0].id / "traj_data.json").read_text())
    assert trajectory["task_type"] == games[0].kind


def test_real_engine_plays_written_games_like_ours(tmp_path):
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    games = [
        games_of("bedroom", "look_at_obj_in_light")[0],
        games_of("bathroom", "pick_clean_then_place_in_recep")[0],
    ]
    write_games(tmp_path, games)
    for game in load_games(tmp_path):
        engines = [FastEngine(game), TextWorldEnv(game)]
        rng = random.Random(game.id)

        def both(command, engines=engines):
            answers = [engine.step(command) for engine in engines]
            assert answers[0] == answers[1], command
            commands = [engine.admissible_commands() for engine in engines]
            assert commands[0] == commands[1], command
            return answers[0][1]

        assert engines[0].reset() == engines[1].reset()
        for command in ("help", "look", "inventory", "go to nowhere 1"):
            assert not both(command)
        for _ in range(15):
            both(rng.choice(engines[0].admissible_commands()))
        assert engines[0].reset() == engines[1].reset()
        assert [both(command) for command in game.walkthrough][-1]


def test_real_engine_with_alfworld_rules_is_won_too():
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    for task_type in ("pick_two_obj_and_place", "pick_and_place_simple"):
        game = games_of("living_room", task_type)[0]
        env = TextWorldEnv(game)
        assert env.reset() == FastEngine(game).reset()
        assert [env.step(command)[1] for command in game.walkthrough][-1]


@pytest.mark.slow
def test_real_engine_with_our_rules_agrees_on_every_kind_of_game():
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    for room, task_type in EXISTING:
        game = games_of(room, task_type, seed=9)[0]
        fast, real = FastEngine(game), TextWorldEnv(game, rules=rules())
        rng = random.Random(game.id)
        assert fast.reset() == real.reset()
        for command in itertools.chain(game.walkthrough, itertools.repeat(None, 40)):
            command = command or rng.choice(fast.admissible_commands())
            assert fast.step(command) == real.step(command), (game.id, command)
            assert fast.admissible_commands() == real.admissible_commands(), (game.id, command)
