"""Write games to disk as ALFWorld's `json_2.1.1` tree."""

import functools
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from duomem_jax.base.io import atomic_write_text
from duomem_jax.worlds.household.engine.text import HELP
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.generate.statistics import LAMP_TASK, parse_id
from duomem_jax.worlds.household.textworld import game_json


def write_games(folder: str | Path, games: Iterable[Game]) -> int:
    """Write each game as `<folder>/<game id>/{game.tw-pddl, traj_data.json}`.

    The PDDL domain and the text grammar that the real engine needs are written too: they are
    this package's own (`rules.pddl`, `rules.twl2`), so that nothing else has to be installed.

    Args:
        folder: becomes what `load_games` and ALFWorld's own tools read.
        games: generated games, or any whose id ends in `<task folder>/<trial>`.

    Returns:
        How many games were written.

    Raises:
        UserError: the disk is full or the folder is not writable.
    """
    n = 0
    for game in games:
        place = Path(folder) / game.id
        # The game last: a folder without it is no game, should the writing be stopped here.
        atomic_write_text(place / "traj_data.json", _trajectory(game))
        atomic_write_text(place / "game.tw-pddl", game_json(game, rules()))
        n += 1
    return n


@functools.cache
def rules() -> tuple[str, str]:
    """PDDL domain and text grammar that generated games are written with."""
    folder = resources.files(__package__)
    grammar = (folder / "rules.twl2").read_text(encoding="utf-8").replace("COMMAND LIST", HELP)
    return (folder / "rules.pddl").read_text(encoding="utf-8"), grammar


def _trajectory(game: Game) -> str:
    """What ALFWorld reads of a `traj_data.json`: the task type and its parameters."""
    name = parse_id(game.id)
    lamp = name.task_type == LAMP_TASK
    data = {
        "task_id": game.id.rsplit("/", 1)[1],
        "task_type": name.task_type,
        "pddl_params": {
            "mrecep_target": "",
            "object_sliced": False,
            "object_target": name.kind,
            # The target is a lamp to switch on or a receptacle to put into, never both.
            "parent_target": "" if lamp else name.target,
            "toggle_target": name.target if lamp else "",
        },
        "scene": {"scene_num": name.scene},
    }
    return json.dumps(data, indent=1)
