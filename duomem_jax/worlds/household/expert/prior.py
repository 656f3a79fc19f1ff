"""Where objects tend to lie: hit rates counted on training games."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from duomem_jax.base.io import atomic_write_text
from duomem_jax.worlds.household.engine.setting import setting_of
from duomem_jax.worlds.household.expert.observation import kind
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.load import load_games

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe", "box"})
"""Kinds that usually start closed, so that a look into them costs two steps."""


class LocationPrior:
    """P(a receptacle of kind k holds an object of kind o), per receptacle."""

    def __init__(self, rates: dict[str, dict[str, float]]):
        self.rates = rates

    @classmethod
    def default(cls) -> "LocationPrior":
        """The table that ships with the package, counted on ALFWorld's training games."""
        text = resources.files(__package__).joinpath("prior.json").read_text(encoding="utf-8")
        return cls(json.loads(text))

    @property
    def receptacles(self) -> set[str]:
        """All kinds of receptacles that something lies in."""
        return {k for rates in self.rates.values() for k in rates}

    @classmethod
    def count(cls, games: Iterable[Game]) -> "LocationPrior":
        """Count where objects lie at the start of training games."""
        seen: Counter[tuple[str, str]] = Counter()
        hits: Counter[tuple[str, str]] = Counter()
        for game in games:
            contents = _contents(game)
            present = {o for _, objects in contents for o in objects}
            for place, objects in contents:
                # Only rooms that have the object count: a search can succeed there.
                seen.update((o, place) for o in present)
                hits.update((o, place) for o in objects)
        rates: dict[str, dict[str, float]] = {}
        for (o, k), n in sorted(hits.items()):
            # One more than was seen, so that a pair met once does not count as certain.
            rates.setdefault(o, {})[k] = round(n / (seen[o, k] + 1), 4)
        return cls(rates)

    def rank(self, object_kind: str, receptacle_kinds: Iterable[str]) -> list[str]:
        """Receptacle kinds by expected hits per step, best first; unseen pairs come last."""
        rates = self.rates.get(object_kind, {})

        def per_step(k: str) -> float:
            # Going and opening are two steps.
            return rates.get(k, 0.0) / (2 if k in OPENABLE else 1)

        # A stable sort: kinds of equal rate stay in the order of the text.
        return sorted(dict.fromkeys(receptacle_kinds), key=lambda k: -per_step(k))


def _contents(game: Game) -> list[tuple[str, set[str]]]:
    """(kind of receptacle, kinds of objects in it) of every receptacle of a game."""
    setting = setting_of(game)
    held: dict[str, set[str]] = {r: set() for r in setting.location}
    for o, r in setting.problem.facts.get("inreceptacle", ()):
        held[r].add(kind(setting.names[o]))
    return [(kind(setting.names[r]), objects) for r, objects in held.items()]


def main() -> None:
    """Rebuild prior.json: `python -m duomem_jax.worlds.household.expert.prior --games FOLDER`."""
    parser = argparse.ArgumentParser(description="Count where objects lie in training games.")
    parser.add_argument("--games", required=True, help="ALFWorld data (json_2.1.1)")
    parser.add_argument("--split", default="train")
    parser.add_argument("--output", default=str(Path(__file__).with_name("prior.json")))
    args = parser.parse_args()
    prior = LocationPrior.count(load_games(args.games, split=args.split))
    atomic_write_text(args.output, json.dumps(prior.rates, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
