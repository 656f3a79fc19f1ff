"""Many games at once say what each says alone."""

import pytest

from duomem_jax.worlds import World
from duomem_jax.worlds.vector import VectorEnv


def test_slots_are_independent_and_reusable(make_room):
    game = make_room()
    vector = VectorEnv()
    alone = World(game)
    assert vector.start(0, game) == vector.start(7, game) == alone.reset()
    for command in game.walkthrough:
        expected = alone.step(command)
        assert vector.step({0: command, 7: "look"})[0] == expected
        assert vector.admissible_commands(0) == alone.admissible_commands()
    assert expected[1] is True
    assert vector.step({7: "look"}) == {7: World(game).step("look")}
    vector.start(0, game)
    assert vector.step({0: "inventory"}) == {0: ("You are not carrying anything.", False)}
    vector.stop(7)
    with pytest.raises(KeyError):
        vector.step({7: "look"})
