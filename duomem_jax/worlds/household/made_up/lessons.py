"""Made-up tasks being solved, each with the advice that explains it."""

import itertools
import random
from collections.abc import Sequence

from duomem_jax.base.errors import UserError
from duomem_jax.records.lessons import Advice, Lesson
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.made_up.follow import play_procedure
from duomem_jax.worlds.household.made_up.offer import Offer, offer_of, sample
from duomem_jax.worlds.household.made_up.verbs import Verb, shares_step
from duomem_jax.worlds.household.procedure import script

LONGEST = 25  # turns of a lesson, so that several fit in a row
ROOMS = 200  # of other games, whose things advice is about
TRIES = 100  # for a lesson, in rooms drawn at random


class MadeUp:
    """Lessons in the rooms of some games.

    Lesson i of a seed is always the same, whatever else is asked for.
    """

    def __init__(self, games: Sequence[Game], seed: int, *, without: str = ""):
        """Look at the rooms.

        Args:
            games: whose rooms they are; their own tasks are not shown.
            seed: of verbs, things and slips.
            without: as in `shares_step`; no lesson has such a step.

        Raises:
            UserError: nothing in the rooms can be taken.
        """
        self._games, self._seed, self._without = games, seed, without
        self._expert = Expert(LocationPrior.default())
        rng = random.Random(f"{seed}/offers")
        some = rng.sample(range(len(games)), min(ROOMS, len(games)))
        found = [offer_of(rng, games[i]) for i in some]
        self._others = [o for o in found if o is not None and o.target != without]
        if not self._others:
            raise UserError("no room has a thing that can be taken; give other games")

    def lesson(self, number: int) -> Lesson:
        """One lesson.

        Raises:
            UserError: no made-up task suits the rooms.
        """
        for i in range(TRIES):
            rng = random.Random(f"{self._seed}/{number}/{i}")
            game = self._games[rng.randrange(len(self._games))]
            found = made_up_lesson(game, self._others, self._expert, rng, without=self._without)
            if found is not None and len(found.turns) <= LONGEST:
                return found
        raise UserError(f"no made-up task in {TRIES} rooms that could be solved; give more games")


def made_up_lesson(
    game: Game,
    others: list[Offer],
    expert: Expert,
    rng: random.Random,
    *,
    slip_rate: float = 0.05,
    without: str = "",
) -> Lesson | None:
    """One made-up task, with its procedure written for other objects and places.

    Args:
        game: the room to play in; its own task is not shown.
        others: offers of other rooms, which the written procedures are about.
        expert: who plays.
        rng: source of the verb, the offer and the slips.
        slip_rate: see `play_procedure`.
        without: see `MadeUp`.

    Returns:
        None where the room has nothing to take, or the procedure could not be followed.
    """
    offer = offer_of(rng, game)
    if offer is None:
        return None
    verb = sample(rng, offer)
    sentence, procedure = verb.fill(offer.kinds)
    if shares_step(procedure, without):
        return None
    played = play_procedure(
        game, expert, rng, slip_rate=slip_rate, sentence=sentence, procedure=procedure
    )
    if played is None:
        return None
    return Lesson(played, tuple(_written(rng, verb, others, without)))


def _written(rng: random.Random, verb: Verb, others: list[Offer], without: str) -> list[Advice]:
    """One to three procedures: the one that helps, and at times others that do not."""
    advice = [_advice(rng, verb, others) for _ in range(rng.choices((1, 2), (2, 1))[0])]
    if rng.random() < 0.35:
        drawn = (sample(rng, rng.choice(others)) for _ in itertools.count())
        other = next(v for v in drawn if not shares_step(v.skeleton, without))
        advice.append(_advice(rng, other, others))
    # The one that helps is not known by its place.
    rng.shuffle(advice)
    return advice


def _advice(rng: random.Random, verb: Verb, others: list[Offer]) -> Advice:
    """A verb's procedure, written for the things of some other room that has all it needs."""
    needed = {goal.what for goal in verb.skeleton if goal.what}
    drawn = (rng.choice(others).kinds for _ in itertools.count())
    kinds = next(found for found in drawn if all(found[what] for what in needed))
    sentence, procedure = verb.fill(kinds)
    return Advice(sentence, script(procedure))
