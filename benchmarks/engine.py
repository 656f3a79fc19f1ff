"""Steps per second of our engine against the real one, on the same games and commands.

    python benchmarks/engine.py --data ../shared/data/alfworld --games 6

Both engines play the same commands in one process and one run; each step includes the list of
admissible commands, which the real engine always makes. Times are processor seconds.
"""

import dataclasses
import json
import random
import sys
import time
from pathlib import Path

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.game import Game, TextEnv
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.parity import rules_in
from duomem_jax.worlds.household.textworld import TextWorldEnv
from duomem_jax.worlds.household.wander import wander
from duomem_jax.worlds.household.world import Household
from duomem_jax.worlds.vector import VectorEnv


def commands_for(game: Game, steps: int) -> list[str]:
    world = FastEngine(game)
    commands = []
    for command in wander(world.admissible_commands, random.Random(0), steps, game.walkthrough):
        world.step(command)
        commands.append(command)
    return commands


def timed(env: TextEnv, commands: list[str], repeats: int = 1) -> tuple[float, float]:
    """Mean processor seconds of a reset and of a step."""
    reset = step = 0.0
    for _ in range(repeats):
        start = time.process_time()
        env.reset()
        ready = time.process_time()
        for command in commands:
            env.step(command)
            env.admissible_commands()
        step += time.process_time() - ready
        reset += ready - start
    return reset / repeats, step / repeats / len(commands)


def vector_rate(games: list[Game], slots: int, steps: int) -> float:
    """Steps per second of a `VectorEnv` with `slots` games."""
    vector = VectorEnv(Household())
    plans = [commands_for(game, steps) for game in games]
    for slot in range(slots):
        vector.start(slot, games[slot % len(games)])
    start = time.process_time()
    for k in range(steps):
        vector.step({slot: plans[slot % len(plans)][k] for slot in range(slots)})
    return slots * steps / (time.process_time() - start)


def main(data: Path, games: int = 6, steps: int = 40, slots: int = 256) -> None:
    """Print the figures.

    Args:
        data: where the games are, as for `load_games`.
        games: how many games, spread evenly.
        steps: commands in each.
        slots: games at once in the vector form.
    """
    found = load_games(data)
    chosen = [found[i * len(found) // games] for i in range(games)]
    rules = rules_in(data)
    seconds = {engine: dict.fromkeys(("load", "reset", "step"), 0.0) for engine in ("ours", "real")}
    for game in chosen:
        commands = commands_for(game, steps)
        fresh = dataclasses.replace(game, id=f"{game.id} again")  # not the setting kept from above
        start = time.process_time()
        ours = FastEngine(fresh)
        between = time.process_time()
        real = TextWorldEnv(game, rules=rules)
        end = time.process_time()
        for name, env, load, repeats in (
            ("ours", ours, between - start, 20),
            ("real", real, end - between, 1),
        ):
            reset, step = timed(env, commands, repeats)
            for what, value in (("load", load), ("reset", reset), ("step", step)):
                seconds[name][what] += value / games
    report = {
        f"{what} ms": {name: round(1e3 * seconds[name][what], 4) for name in seconds}
        for what in ("load", "reset", "step")
    }
    for what in ("load", "reset", "step"):
        report[f"{what} ms"]["ratio"] = round(seconds["real"][what] / seconds["ours"][what])
    report["steps per second"] = {name: round(1 / seconds[name]["step"], 1) for name in seconds}
    report["steps per second"][f"ours, {slots} at once"] = round(vector_rate(chosen, slots, steps))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except UserError as e:
        sys.exit(str(e))
