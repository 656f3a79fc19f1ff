"""Write games to disk as ALFWorld's `json_2.1.1` tree."""

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

from duomem_jax.envs.base import Game
from duomem_jax.envs.generate.statistics import LAMP_TASK, parse_id
from duomem_jax.io import atomic_write_text

_NO_TASK = "UNKNOWN GOAL."  # stands in ALFWorld's grammar where a game puts its task


def write_games(folder: str | Path, games: Iterable[Game]) -> int:
    """Write each game as `<folder>/<game id>/{game.tw-pddl, traj_data.json}`.

    The PDDL domain and the text grammar that TextWorld needs are ALFWorld's own and are
    taken from the installed `alfworld` package; without it these two fields stay empty,
    which only the real engine minds.

    Args:
        folder: becomes what `load_games` and ALFWorld's own tools read.
        games: generated games, or any whose id ends in `<task folder>/<trial>`.

    Returns:
        How many games were written.

    Raises:
        UserError: the disk is full or the folder is not writable.
    """
    domain, grammar = _alfworld_logic()
    n = 0
    for game in games:
        task_type, kind, target, scene = parse_id(game.id)
        target_of = "toggle_target" if task_type == LAMP_TASK else "parent_target"
        trajectory = {
            "task_id": game.id.rsplit("/", 1)[1],
            "task_type": task_type,
            "pddl_params": {
                "mrecep_target": "",
                "object_sliced": False,
                "object_target": kind,
                "parent_target": "",
                "toggle_target": "",
                target_of: target,
            },
            "scene": {"scene_num": scene},
        }
        world = {
            "pddl_domain": domain,
            "grammar": grammar.replace(_NO_TASK, game.task),
            "pddl_problem": game.pddl_problem,
            "solvable": True,
            "walkthrough": list(game.walkthrough),
        }
        place = Path(folder) / game.id
        atomic_write_text(place / "traj_data.json", json.dumps(trajectory, indent=1))
        atomic_write_text(place / "game.tw-pddl", json.dumps(world))
        n += 1
    return n


def _alfworld_logic() -> tuple[str, str]:
    """Text of the domain and of the grammar; empty without the `alfworld` extra."""
    spec = importlib.util.find_spec("alfworld")
    if spec is None or not spec.submodule_search_locations:
        return "", ""
    data = Path(spec.submodule_search_locations[0]) / "data"
    return (data / "alfred.pddl").read_text(), (data / "alfred.twl2").read_text()
