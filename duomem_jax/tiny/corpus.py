"""What the tiny models are pretrained on: played generated games, rendered as conversations.

The teacher reads the expert at work. The student base reads explorers, who solve nothing, and
experts following made-up procedures that are written in the conversation.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from duomem_jax.memory.show import render_guidelines
from duomem_jax.records.episodes import Turn
from duomem_jax.tiny.explorer import Explorer
from duomem_jax.tiny.procedures import Verb, sample_verb
from duomem_jax.worlds.base import Move
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.engine.setting import APPLIANCES, setting_of
from duomem_jax.worlds.household.expert.observation import kind
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.procedure import Procedure, script

MAX_STEPS = 50


@dataclass(frozen=True)
class Lesson:
    """A conversation to learn from.

    Attributes:
        turns: what was seen, thought and done.
        guidelines: text put before the first observation.
    """

    turns: tuple[Turn, ...]
    guidelines: str = ""


@dataclass(frozen=True)
class Offer:
    """What a room offers a made-up task.

    Attributes:
        object: kind of an object that can be taken.
        target: kind of a receptacle that it fits into; empty: none.
        lamp: kind of a lamp; empty: none.
        capable: which of clean, heat and cool the object admits here.
        two: whether the room has two of the object.
    """

    object: str
    target: str
    lamp: str
    capable: tuple[str, ...]
    two: bool

    @property
    def kinds(self) -> dict[str, str]:
        """What fills the blanks of a `Verb`."""
        return {"object": self.object, "target": self.target, "lamp": self.lamp}


def _slip(rng: random.Random, world: FastEngine, expert: Expert, thought: str) -> Move:
    """A mistake that small models make, drawn at random."""
    action = expert.proposed
    here = expert.beliefs.here
    # What stands in the list several times is drawn more often.
    # The Thought stays that of the expert: the action does not follow from it.
    slips = [(thought, c) for c in ("look", "inventory")]
    named = re.search(r"(\w+) (\d+)", action)
    if named:  # another number of the right kind
        wrong = f"{named[1]} {max(1, int(named[2]) + rng.choice((-2, -1, 1, 2)))}"
        slips += [(thought.replace(named[0], wrong), action.replace(named[0], wrong))] * 3
    wanted = expert.wanted
    if here and wanted and action.startswith("go to "):  # seeing what is not there
        name = f"{wanted} {rng.choice((1, 1, 1, 2, 2, 3))}"
        false = f"I look for a {wanted}. I see {name}. Take it."
        slips += [(false, f"take {name} from {here}")] * 4
    if here:
        slips.append(("It is closed. Open it.", f"open {here}"))
    ways = [c for c in world.admissible_commands() if c.startswith("go to ")]
    # Admissible, unlike the others mostly: a detour, not a refusal.
    astray = rng.choice(ways)
    slips.append((f"Go to {astray[6:]}.", astray))
    return Move(*rng.choice(slips))


def play_procedure(
    game: Game,
    expert: Expert,
    rng: random.Random,
    *,
    slip_rate: float = 0.0,
    sentence: str | None = None,
    procedure: Procedure | None = None,
) -> tuple[Turn, ...] | None:
    """Let the expert play, slipping at times.

    Args:
        game: what is played.
        expert: who plays.
        rng: source of the slips.
        slip_rate: share of turns in which something else is done than the expert proposed.
        sentence: task sentence to show instead of the game's own.
        procedure: what the expert does instead of what the sentence asks for.

    Returns:
        What it did, or None if it did not get there in time.
    """
    world = FastEngine(game)
    observation = world.reset()
    if sentence is not None:
        # The room is the game's; only the sentence that states its task is another one's.
        observation = observation.replace(game.text, sentence)
    expert.reset(observation, procedure)
    turns: list[Turn] = []
    done = False
    while len(turns) < MAX_STEPS and not done:
        move = expert.act(observation)
        slips = rng.random() < slip_rate
        if slips:
            move = _slip(rng, world, expert, move.thought)
        # It stays in what is read, so that the way out of it can be learnt.
        turns.append(Turn(observation, *move, learnt=not slips))
        observation, won = world.step(move.action)
        refused = observation.startswith("Nothing happens") and move.action == expert.proposed
        # What was really done, slip or not: `act` would take in what the expert proposed.
        expert.observe(move.action, observation)
        # A made-up procedure has no goal that the world could check: it is done when the expert
        # has gone through it, and one that the world refuses is no example.
        if procedure is not None and refused:
            return None
        done = won if procedure is None else expert.done
    return tuple(turns) if done else None


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


def _offer(rng: random.Random, game: Game) -> Offer | None:
    """A random offer of a game's room; None: nothing in it can be taken."""
    setting = setting_of(game)
    inside = {o for o, _ in setting.problem.facts.get("inreceptacle", ())}
    named = {o: kind(setting.names[o]) for o in inside}
    # Sorted: a set of words has another order in each process, and the seed must decide alone.
    liftable = sorted({named[o] for o in inside if o in setting.traits["pickupable"]})
    if not liftable:
        return None
    wanted = rng.choice(liftable)
    thing = next(o for o in sorted(inside) if named[o] == wanted)
    targets = sorted({kind(setting.names[r]) for r in setting.fits[thing]})
    lamps = sorted({k for k in named.values() if k.endswith("lamp")})
    return Offer(
        object=wanted,
        target=rng.choice(targets) if targets else "",
        lamp=rng.choice(lamps) if lamps else "",
        capable=tuple(
            verb
            for verb, (_, trait) in APPLIANCES.items()
            if thing in setting.traits[trait] and setting.appliances[verb]
        ),
        two=sum(k == wanted for k in named.values()) > 1,
    )


def _sample(rng: random.Random, offer: Offer) -> Verb:
    return sample_verb(
        rng,
        offer.capable,
        target=bool(offer.target) and rng.random() < 0.85,
        lamp=bool(offer.lamp),
        two=offer.two,
    )


def made_up_lesson(
    game: Game, others: list[Offer], expert: Expert, rng: random.Random, *, slip_rate: float = 0.05
) -> Lesson | None:
    """One made-up task, with its procedure written for other objects and places.

    Args:
        game: the room to play in; its own task is not shown.
        others: offers of other rooms, which the written procedures are about.
        expert: who plays.
        rng: source of the verb, the offer and the slips.
        slip_rate: see `play_procedure`.
    """
    offer = _offer(rng, game)
    if offer is None:
        return None
    verb = _sample(rng, offer)
    sentence, procedure = verb.fill(offer.kinds)
    played = play_procedure(
        game, expert, rng, slip_rate=slip_rate, sentence=sentence, procedure=procedure
    )
    if played is None:
        return None
    return Lesson(played, _written(rng, verb, others))


def _written(rng: random.Random, verb: Verb, others: list[Offer]) -> str:
    """One to three procedures: the one that helps, and at times others that do not."""

    def example(v: Verb) -> dict[str, str] | None:
        kinds = rng.choice(others).kinds
        needed = {goal.what for goal in v.skeleton if goal.what}
        if not all(kinds[what] for what in needed):
            return None
        sentence, procedure = v.fill(kinds)
        return {"task_name": sentence, "guidelines": script(procedure)}

    def surely(v: Verb) -> dict[str, str]:
        while (written := example(v)) is None:
            pass
        return written

    memories = [surely(verb) for _ in range(rng.choices((1, 2), (2, 1))[0])]
    if rng.random() < 0.35:
        memories.append(surely(_sample(rng, rng.choice(others))))
    # The one that helps is not known by its place.
    rng.shuffle(memories)
    return render_guidelines(memories)


def exploring_lesson(game: Game, rng: random.Random) -> Lesson | None:
    """A walk at random through a room, under a made-up task that nothing explains."""
    offer = _offer(rng, game)
    if offer is None:
        return None
    world = FastEngine(game)
    sentence, _ = _sample(rng, offer).fill(offer.kinds)
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
        seen = _offer(rng, game)
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
