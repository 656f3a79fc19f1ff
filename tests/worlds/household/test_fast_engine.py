"""The rules and words of the fast engine, in the tiny room."""

import itertools
import random
import re

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.commands import BLOCKS
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.wander import wander
from duomem_jax.worlds.household.world import Household


@pytest.fixture
def world(make_room):
    return FastEngine(make_room())


def play(world, *commands):
    for command in commands:
        observation, won = world.step(command)
    return observation, won


def test_reset_describes_the_room_and_states_the_task(world):
    assert world.reset() == (
        "-= Welcome to TextWorld, ALFRED! =-\n\n"
        "You are in the middle of a room. Looking quickly around you, you see a countertop 1, "
        "a drawer 2, a drawer 1, a fridge 1, a microwave 1, a sinkbasin 1, and a sofa 1.\n\n"
        "Your task is to: put a clean mug in fridge."
    )
    assert world.step("look") == (
        "You are in the middle of a room. Looking quickly around you, you see nothing.",
        False,
    )


def test_walkthrough_wins_and_taking_the_thing_back_undoes_it(world):
    game = world.game
    wins = [world.step(command)[1] for command in game.walkthrough]
    assert wins == [False] * (len(wins) - 1) + [True]
    assert world.step("dance") == ("Nothing happens.", True)
    assert world.step("take mug 2 from fridge 1")[1] is False


@pytest.mark.parametrize(
    ("commands", "last"),
    [
        (["go to fridge 1"], "You arrive at fridge 1. The fridge 1 is closed."),
        (
            ["go to fridge 1", "open fridge 1"],
            "You open the fridge 1. The fridge 1 is open. In it, you see a mug 1.",
        ),
        (["go to fridge 1", "open fridge 1", "close fridge 1"], "You close the fridge 1."),
        (["go to sinkbasin 1"], "You arrive at sinkbasin 1. On the sinkbasin 1, you see nothing."),
        (
            ["go to countertop 1", "look"],
            "You are facing the countertop 1, and sinkbasin 1. Next to it, you see nothing.",
        ),
        (["inventory"], "You are not carrying anything."),
        (["go to sofa 1", "take box 1 from sofa 1", "inventory"], "You are carrying: a box 1."),
        (
            ["go to sofa 1", "take box 1 from sofa 1", "examine box 1"],
            "This is a normal box 1. In it, you see a pen 1.",
        ),
        (
            ["go to sofa 1", "use desklamp 2", "take desklamp 2 from sofa 1", "examine desklamp 2"],
            "This desklamp 2 is on.",
        ),
        (["go to drawer 1", "use desklamp 1"], "You turn on the desklamp 1."),
        (["go to drawer 2", "take knife 1 from drawer 2", "examine knife 1"],
         "There's nothing special about knife 1."),
        (["go to drawer 2", "take knife 1 from drawer 2", "go to countertop 1",
          "slice bread 1 with knife 1"], "You sliced the bread 1 with the knife 1."),
        (["go to fridge 1", "open fridge 1", "take mug 1 from fridge 1", "examine mug 1"],
         "This is a cold mug 1."),
        (["go to sofa 1", "examine pen 1"], "Nothing happens."),
        (["go to sofa 1", "go to drawer 2"], "Nothing happens."),  # both are at one place
        (["  inventory \n"], "You are not carrying anything."),
        (["Inventory"], "Nothing happens."),
    ],
)  # fmt: skip
def test_the_last_command_is_answered_with(world, commands, last):
    assert play(world, *commands)[0] == last


def test_examine_names_what_was_done_to_the_object(world):
    play(
        world, "go to countertop 1", "take mug 2 from countertop 1", "clean mug 2 with sinkbasin 1"
    )
    assert world.step("examine mug 2")[0] == "This is a clean mug 2."
    play(world, "go to microwave 1", "heat mug 2 with microwave 1")
    assert world.step("examine mug 2")[0] == "This is a hot and clean mug 2."
    play(world, "go to fridge 1", "cool mug 2 with fridge 1")
    assert world.step("examine mug 2")[0] == "This is a cool and clean mug 2."


def test_look_lists_objects_left_beside_a_receptacle(world):
    play(world, "go to countertop 1", "take mug 2 from countertop 1", "move mug 2 to sinkbasin 1")
    assert world.step("look")[0] == (
        "You are facing the countertop 1, and sinkbasin 1. Next to it, you see a mug 2."
    )
    play(world, "take mug 2 from sinkbasin 1", "move mug 2 to countertop 1", "look")
    assert world.step("look")[0].endswith("Next to it, you see a mug 2.")


def test_put_of_older_games_is_refused(make_room):
    commands = ("go to countertop 1", "take mug 2 from countertop 1", "put mug 2 in/on sinkbasin 1")
    assert play(FastEngine(make_room()), *commands)[0] == "Nothing happens."


def every_command(world):
    """All well-formed commands about anything in the room."""
    names = sorted({name.strip() for name in world._setting.names.values()})
    yield from ("look", "inventory", "help")
    for one in names:
        yield from (f"{verb} {one}" for verb in ("go to", "open", "close", "examine", "use"))
    for one, two in itertools.product(names, names):
        yield f"take {one} from {two}"
        yield f"move {one} to {two}"
        yield from (f"{verb} {one} with {two}" for verb in ("heat", "cool", "clean", "slice"))


def replayed(game, past):
    world = FastEngine(game)
    for command in past:
        world.step(command)
    return world


def test_admissible_commands_are_exactly_those_that_do_something(make_room):
    game = make_room()
    past: list[str] = []
    world = FastEngine(game)
    for command in wander(world.admissible_commands, random.Random(1), 25, game.walkthrough):
        world.step(command)
        past.append(command)
    possible = list(every_command(world))
    for upto in (0, 8, 16, 25):
        allowed = replayed(game, past[:upto]).admissible_commands()
        base = replayed(game, past[:upto])
        effective = []
        for candidate in possible:
            refused = base.step(candidate)[0] == "Nothing happens."
            if not refused:
                effective.append(candidate)
                base = replayed(game, past[:upto])
        assert sorted(effective) == allowed


def test_incremental_blocks_equal_blocks_written_from_scratch(make_room):
    game = make_room()
    world = FastEngine(game)
    for command in wander(world.admissible_commands, random.Random(2), 400, game.walkthrough):
        world.step(command)
        fresh = {verb: block(world._setting, world._state) for verb, block in BLOCKS.items()}
        assert world._blocks == fresh
        commands = world.admissible_commands()
        assert commands == sorted(command for block in fresh.values() for command in block)


def test_same_commands_after_reset_give_the_same_words(make_room):
    game = make_room()
    world = FastEngine(game)
    commands: list[str] = []
    first = [world.reset()]
    for command in wander(world.admissible_commands, random.Random(3), 60, game.walkthrough):
        commands.append(command)
        first.append(world.step(command))
    assert [world.reset(), *map(world.step, commands)] == first


def test_real_walkthroughs_win(real_games_dir):
    from duomem_jax.worlds.household.load import load_games

    for game in load_games(real_games_dir, split="valid_seen")[::10]:
        world = FastEngine(game)
        assert "you see a" in world.reset()
        for command in game.walkthrough:
            assert command in world.admissible_commands()
            observation, won = world.step(command)
            assert observation != "Nothing happens."
        assert won


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("(:goal", "(:gaol"), "no (:goal section"),
        (("(:init", "(:unit"), "no (:init section"),
        (("(atLocation agent1 start)", ""), "one atLocation"),
        (("(openable Fridge_bar_1)", "(openable Fridge_bar_9)"), "fridge_bar_9"),
        (("(openable Fridge_bar_1)", "(openable)"), "wrong number of ids"),
        (("(receptacleAtLocation Sofa_bar_1 sofa1)",
          "(receptacleAtLocation Sofa_bar_1 sofa1) (receptacleAtLocation Sofa_bar_1 stove)"),
         "one receptacleAtLocation"),
    ],
)  # fmt: skip
def test_unplayable_problem_is_named(make_room, change, message):
    game = make_room()
    object.__setattr__(game, "pddl_problem", game.pddl_problem.replace(*change))
    with pytest.raises(UserError, match=re.escape(message)) as error:
        FastEngine(game)
    assert game.id in str(error.value)


def test_problem_cut_short_anywhere_is_refused(make_room):
    game = make_room()
    text = game.pddl_problem.rstrip()
    for length in range(0, len(text), 97):
        object.__setattr__(game, "pddl_problem", text[:length])
        with pytest.raises(UserError):
            FastEngine(game)


def test_unknown_engine_is_refused():
    with pytest.raises(UserError, match="fast, textworld"):
        Household("slow")
