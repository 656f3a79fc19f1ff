"""A policy that does not know what to do: it wanders, opens, picks things up and tries them.

Its lessons show a tiny model how the world answers without showing how any task is solved.
"""

import random

from duomem_jax.worlds.base import Move
from duomem_jax.worlds.household.expert.observation import Beliefs, kind
from duomem_jax.worlds.household.procedure import APPLIANCE


class Explorer:
    """Wanders at random, saying what it does; never pursues the task."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def reset(self, first_observation: str) -> None:
        """Start a game from the text of its reset."""
        self.beliefs = Beliefs.from_first(first_observation)
        self.action = ""

    def act(self, observation: str) -> Move:
        """A move after `observation`."""
        if self.action:
            # Nothing was done before the first observation, so there is nothing to take in.
            self.beliefs.update(self.action, observation)
            move = self._wander()
        else:
            move = self._leave()
            unsure = "I do not know how to do this. I look around. "
            move = move._replace(thought=unsure + move.thought)
        self.action = move.action
        return move

    def _leave(self) -> Move:
        place = self.rng.choice([p for p in self.beliefs.receptacles if p != self.beliefs.here])
        return Move(f"Next is {place}.", f"go to {place}")

    def _wander(self) -> Move:
        here = self.beliefs.here
        if here and self.beliefs.closed and self.rng.random() < 0.8:
            return Move("It is closed. Open it.", f"open {here}")
        return self.rng.choice(self._options())

    def _options(self) -> list[Move]:
        """What could be done here; going elsewhere is listed four times, to be the likeliest."""
        # Four different draws, not one place four times.
        options = [self._leave() for _ in range(4)]
        here = self.beliefs.here
        held = self.beliefs.holding
        visible = [] if self.beliefs.closed or not here else self.beliefs.contents.get(here, [])
        lamps = [name for name in visible if kind(name).endswith("lamp")]
        options += [Move(f"I see {name}. Use it.", f"use {name}") for name in lamps]
        if held is None:
            options += [Move("Check it.", "inventory")] if self.rng.random() < 0.1 else []
            options += [Move(f"I see {n}. Take it.", f"take {n} from {here}") for n in visible[:3]]
            return options
        # From here on something is held: nothing can be taken.
        options.append(Move("Examine it.", f"examine {held}"))
        if here and not self.beliefs.closed:
            options += [Move("Put it.", f"move {held} to {here}")] * 2
        options += [
            Move(f"{verb.capitalize()} it.", f"{verb} {held} with {here}")
            for verb, appliance in APPLIANCE.items()
            if here and kind(here) == appliance
        ]
        return options
