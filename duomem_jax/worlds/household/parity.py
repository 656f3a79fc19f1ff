"""Play the same games in our engine and in the real one, and compare every word.

    python -m duomem_jax.worlds.household.parity --data DATA --split train valid_seen

Each game is played twice: at random, with legal, stale and nonsensical commands, and along its
walkthrough, which must win, and a little further. After every command the observation, the win
flag and the admissible commands must be equal. Needs the extra `alfworld`, whose engine takes some
eight seconds a game.
"""

import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import tyro
from tqdm import tqdm

from duomem_jax.base.errors import UserError
from duomem_jax.base.progress import Progress
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.game import Game, TextEnv
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.textworld import TextWorldEnv
from duomem_jax.worlds.household.wander import wander

_AFTER_WIN = 4


@dataclass
class Comparison:
    """The outcome of playing some games in both engines.

    Attributes:
        games, steps: how many were compared; a reset is not a step.
        mismatches: what differed first, for each game in which something did.
        done: how often each verb did something.
        refused: how often a command was answered "Nothing happens."
        seconds: processor seconds spent stepping in our engine and in the real one.
    """

    games: int = 0
    steps: int = 0
    mismatches: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"ours": 0.0, "real": 0.0})

    def add(self, other: "Comparison") -> None:
        """Count `other` in."""
        self.games += other.games
        self.steps += other.steps
        self.mismatches += other.mismatches
        self.done += other.done
        self.refused += other.refused
        for engine, seconds in other.seconds.items():
            self.seconds[engine] += seconds


class _MismatchError(Exception):
    """The engines disagree."""


def compare(game: Game, *, steps: int, seed: int, rules: tuple[str, str] | None) -> Comparison:
    """Play `game` in both engines: `steps` random commands, then the walkthrough and beyond.

    Args:
        game: the game.
        steps: length of the random part.
        seed: of the random part.
        rules: PDDL domain and grammar for the real engine, see `TextWorldEnv`.
    """
    result = Comparison(games=1)
    # By game, so that a mismatch comes up again when the game is played alone.
    rng = random.Random(f"{game.id} {seed}")
    pair = _Pair(FastEngine(game), TextWorldEnv(game, rules=rules), result)
    try:
        pair.reset()
        for command in wander(lambda: pair.allowed, rng, steps, game.walkthrough):
            pair.step(command)
        pair.reset()
        won = False
        for command in game.walkthrough:
            won = pair.step(command)
        # Engines that agree may both be wrong: the game's own walkthrough has to win.
        if not won:
            raise _MismatchError("the walkthrough does not win")
        # Playing on can undo the goal, and both engines must agree on that, too.
        for command in wander(lambda: pair.allowed, rng, _AFTER_WIN):
            pair.step(command)
    except _MismatchError as e:
        result.mismatches.append(f"{game.id}: {e}")
    return result


class _Pair:
    """Both engines on one game, moved together."""

    def __init__(self, ours: TextEnv, real: TextEnv, result: Comparison):
        self.ours = ours
        self.real = real
        self.result = result
        self.allowed: list[str] = []

    def reset(self) -> None:
        self._check("reset", self.ours.reset(), self.real.reset())

    def step(self, command: str) -> bool:
        # Processor time: other processes on the machine do not count.
        start = time.process_time()
        ours, won = self.ours.step(command)
        self.ours.admissible_commands()  # the real engine makes them with every step, too
        between = time.process_time()
        real, really_won = self.real.step(command)
        end = time.process_time()
        result = self.result
        result.steps += 1
        result.seconds["ours"] += between - start
        result.seconds["real"] += end - between
        if command.strip() in self.allowed:
            result.done[command.split()[0]] += 1
        else:
            result.refused += 1
        self._check(repr(command), (ours, won), (real, really_won))
        return won

    def _check(self, when: str, ours: object, real: object) -> None:
        if ours != real:
            raise _MismatchError(f"after {when} ours says {ours!r}, the real engine {real!r}")
        self.allowed = self.ours.admissible_commands()
        others = self.real.admissible_commands()
        if self.allowed != others:
            missing = sorted(set(others) - set(self.allowed))
            extra = sorted(set(self.allowed) - set(others))
            raise _MismatchError(
                f"after {when} our commands lack {missing} and have {extra} beyond"
            )


def rules_in(folder: Path) -> tuple[str, str] | None:
    """The PDDL domain and grammar that lie beside packed games, if they do."""
    files = (folder / "alfred.domain.pddl", folder / "alfred.grammar.twl2")
    if not all(file.exists() for file in files):
        return None
    return files[0].read_text(encoding="utf-8"), files[1].read_text()


def pick(data: Path, splits: Sequence[str], count: int, seed: int) -> list[Game]:
    """Draw `count` games, in equal parts from each split as far as they reach."""
    sets = [load_games(data, split=split) for split in splits] or [load_games(data)]
    games: list[Game] = []
    # The smallest first, so that what it cannot give comes from the others.
    for done, found in enumerate(sorted(sets, key=len)):
        share = min(len(found), (count - len(games)) // (len(sets) - done))
        games += [found[i] for i in random.Random(seed).sample(range(len(found)), share)]
    return games


def main(
    data: Path,
    split: tuple[str, ...] = (),
    games: int = 300,
    steps: int = 40,
    seed: int = 0,
    processes: int = 1,
) -> int:
    """Compare the engines; print a summary; the exit status is 1 if anything differs.

    Args:
        data: where the games are, as for `load_games`.
        split: the splits to draw from; everything if none is given.
        games: how many games.
        steps: random steps in each, before the walkthrough.
        seed: of the drawing and the random steps.
        processes: how many games at a time.
    """
    play = partial(compare, steps=steps, seed=seed, rules=rules_in(data))
    total = Comparison()
    # The real engine keeps memory with every game, so processes are replaced.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=20) as pool:
        drawn = pick(data, split, games, seed)
        with Progress(len(drawn), "parity", good="equal") as progress:
            for result in pool.imap(play, drawn):
                total.add(result)
                progress.add(not result.mismatches)
                for mismatch in result.mismatches:
                    tqdm.write(mismatch, file=sys.stderr)  # at once, should the run be stopped
    print(json.dumps(vars(total), indent=1))
    return 1 if total.mismatches else 0


if __name__ == "__main__":
    try:
        sys.exit(tyro.cli(main))
    except UserError as e:
        sys.exit(str(e))
