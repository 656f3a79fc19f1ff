import itertools
import json
import random
import re

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.world import World
from duomem_jax.worlds.household.game import TASK_TYPES
from duomem_jax.worlds.household.generate import ROOMS, generate_games, write_games
from duomem_jax.worlds.household.generate.files import rules
from duomem_jax.worlds.household.generate.statistics import APPLIANCES, count, parse_id, shipped
from duomem_jax.worlds.household.load import load_games

EXISTING = [(room, t) for room in ROOMS for t in shipped()["rooms"][room]["tasks"]]


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


def test_game_depends_on_seed_and_number_alone():
    games = list(generate_games(6, 3))
    assert list(generate_games(2, 3, start=4)) == games[4:]
    assert games != list(generate_games(6, 4))
    assert len({g.id for g in games}) == 6
    assert [g.pddl_problem for g in games] == [g.pddl_problem for g in generate_games(6, 3)]


@pytest.mark.parametrize(("room", "task_type"), EXISTING)
def test_walkthrough_wins_and_nothing_shorter_did(room, task_type):
    for game in generate_games(8, 1, rooms=[room], task_types=[task_type]):
        assert game.kind == task_type
        world = World(game)
        assert world.reset().endswith(f"Your task is to: {game.text}")
        for command in game.walkthrough[:-1]:
            assert command in world.admissible_commands()
            assert not world.step(command)[1], game.id
        assert world.step(game.walkthrough[-1])[1], game.id


def test_nothing_wanted_starts_where_it_must_go_next():
    for game in generate_games(300, 6):
        task_type, kind, target, _ = parse_id(game.id)
        where = APPLIANCES.get(task_type, target).removesuffix("Basin")
        assert f"(inReceptacle {kind}_bar" in game.pddl_problem
        assert not re.search(rf"\(inReceptacle {kind}_bar\S* {where}_bar", game.pddl_problem)


def test_all_task_types_and_rooms_come():
    assert {t for _, t in EXISTING} == set(TASK_TYPES)
    tasks = {(parse_id(g.id)[3] // 100, g.kind) for g in generate_games(600, 5)}
    assert len(tasks) == len(EXISTING)


def test_rooms_are_as_large_as_real_ones(generated):
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
def test_numbers_per_kind_are_close_to_real_ones(generated, table):
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
def test_what_lies_where_is_close_to_real_rooms(generated, table, limit):
    for room, real in shipped()["rooms"].items():
        new = generated["rooms"][room]
        sizes = {kind: sum(row.values()) for kind, row in real[table].items()}
        far = sum(
            distance(row, new[table].get(kind, {"": 1})) * sizes[kind]
            for kind, row in real[table].items()
        )
        assert far / sum(sizes.values()) < limit, room


def test_walkthroughs_are_as_long_as_real_ones(generated):
    for task_type, real in shipped()["steps"].items():
        assert mean(generated["steps"][task_type]) == pytest.approx(mean(real), rel=0.05)


def test_shipped_statistics_are_those_of_the_real_games(real_games_dir):
    assert count(load_games(real_games_dir, split="train")) == shipped()


def test_written_games_are_read_back(tmp_path):
    games = list(generate_games(4, 2))
    assert write_games(tmp_path, games) == 4
    again = {g.id: g for g in load_games(tmp_path)}
    assert again == {g.id: g for g in games}
    trajectory = json.loads((tmp_path / games[0].id / "traj_data.json").read_text())
    assert trajectory["task_type"] == games[0].kind


def test_real_engine_plays_written_games_as_the_fast_one_does(tmp_path):
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    games = [
        next(generate_games(1, seed, rooms=[room], task_types=[task_type]))
        for seed, (room, task_type) in enumerate(
            [("bedroom", "look_at_obj_in_light"), ("bathroom", "pick_clean_then_place_in_recep")]
        )
    ]
    write_games(tmp_path, games)
    for game in load_games(tmp_path):
        engines = [World(game), TextWorldEnv(game)]
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


def test_real_engine_with_its_own_rules_is_won_too():
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    for task_type in ("pick_two_obj_and_place", "pick_and_place_simple"):
        game = next(generate_games(1, 0, rooms=["living_room"], task_types=[task_type]))
        env = TextWorldEnv(game)
        assert env.reset() == World(game).reset()
        assert [env.step(command)[1] for command in game.walkthrough][-1]


@pytest.mark.slow
def test_own_rules_say_what_the_fast_engine_says_on_more_games():
    pytest.importorskip("alfworld", reason="needs the extra alfworld")
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    for room, task_type in EXISTING:
        game = next(generate_games(1, 9, rooms=[room], task_types=[task_type]))
        fast, real = World(game), TextWorldEnv(game, rules=rules())
        rng = random.Random(game.id)
        assert fast.reset() == real.reset()
        for command in itertools.chain(game.walkthrough, itertools.repeat(None, 40)):
            command = command or rng.choice(fast.admissible_commands())
            assert fast.step(command) == real.step(command), (game.id, command)
            assert fast.admissible_commands() == real.admissible_commands(), (game.id, command)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rooms": ["garage"]}, "unknown room 'garage'"),
        ({"task_types": ["sweep"]}, "unknown task type 'sweep'"),
        ({"rooms": ["bathroom"], "task_types": ["pick_heat_then_place_in_recep"]}, "no game of"),
    ],
)
def test_impossible_wishes_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        generate_games(1, 0, **arguments)
