"""What the tiny models are pretrained on: played generated games, rendered as conversations.

The teacher reads the expert at work. The student base reads explorers, who solve nothing, and
experts following made-up procedures that are written in the conversation.
"""

import random
from collections.abc import Iterable, Iterator

from duomem_jax.records.episodes import Turn
from duomem_jax.records.lessons import Lesson
from duomem_jax.tiny.explorer import Explorer
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.made_up.follow import play_procedure
from duomem_jax.worlds.household.made_up.lessons import made_up_lesson
from duomem_jax.worlds.household.made_up.offer import Offer, offer_of, sample


def expert_lessons(
    games: Iterable[Game], prior: LocationPrior, seed: int, *, slip_rate: float = 0.1
) -> Iterator[Lesson]:
    """The teacher's corpus: won games, half of them with slips to recover from."""
    expert = Expert(prior)
    for i, game in enumerate(games):
        rng = random.Random(f"{seed}/{i}")  # of its own: no lesson depends on others
        played = play_procedure(
            game, expert, rng, slip_rate=slip_rate if rng.random() < 0.5 else 0.0
        )
        if played:
            yield Lesson(played)


def exploring_lesson(game: Game, rng: random.Random) -> Lesson | None:
    """A walk at random through a room, under a made-up task that nothing explains."""
    offer = offer_of(rng, game)
    if offer is None:
        return None
    world = FastEngine(game)
    sentence, _ = sample(rng, offer).fill(offer.kinds)
    observation = world.reset().replace(game.text, sentence)
    explorer = Explorer(rng)
    explorer.reset(observation)
    turns = []
    for _ in range(rng.randint(6, 24)):
        move = explorer.act(observation)
        turns.append(Turn(observation, *move))
        observation, _won = world.step(move.action)
    return Lesson(tuple(turns))


def general_lessons(
    games: Iterable[Game], prior: LocationPrior, seed: int, *, explore_share: float = 0.1
) -> Iterator[Lesson]:
    """The student base's corpus: explorers, and made-up procedures being followed."""
    expert = Expert(prior)
    others: list[Offer] = []
    for i, game in enumerate(games):
        rng = random.Random(f"{seed}/{i}")
        seen = offer_of(rng, game)
        if seen is not None:
            others = [*others[-199:], seen]  # a bounded memory: the corpus is made block by block
        if len(others) < 20:
            continue  # too few to write about other things than this room's
        if rng.random() < explore_share:
            lesson = exploring_lesson(game, rng)
        else:
            lesson = made_up_lesson(game, others, expert, rng)
        if lesson is not None:
            yield lesson
