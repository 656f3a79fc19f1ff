"""What a room offers a made-up task."""

import random
from dataclasses import dataclass

from duomem_jax.worlds.household.engine.setting import APPLIANCES, setting_of
from duomem_jax.worlds.household.expert.observation import kind
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.made_up.verbs import Verb, sample_verb


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


def offer_of(rng: random.Random, game: Game) -> Offer | None:
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


def sample(rng: random.Random, offer: Offer) -> Verb:
    """A made-up verb that the room of an offer has all things for."""
    return sample_verb(
        rng,
        offer.capable,
        target=bool(offer.target) and rng.random() < 0.85,
        lamp=bool(offer.lamp),
        two=offer.two,
    )
