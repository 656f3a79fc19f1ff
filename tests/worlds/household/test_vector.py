"""Many games at once say what each says alone."""

import pytest

from duomem_jax.worlds.base import Step
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.world import Household
from duomem_jax.worlds.vector import VectorEnv


def test_slots_are_independent_and_reusable(make_room):
    game = make_room()
    household = Household()
    vector = VectorEnv(household)
    alone = household.open(game)
    assert vector.start(0, game) == vector.start(7, game) == alone.reset()
    for command in game.walkthrough:
        expected = alone.step(command)
        assert vector.step({0: command, 7: "look"})[0] == expected
    assert (expected.done, expected.score) == (True, 1.0)
    assert vector.step({7: "look"}) == {7: Step(FastEngine(game).step("look")[0], False, 0.0)}
    vector.start(0, game)
    seen = Step("You are not carrying anything.", False, 0.0)
    assert vector.step({0: "inventory"}) == {0: seen}
    vector.stop(7)
    with pytest.raises(KeyError):
        vector.step({7: "look"})
