"""What real games look like, as counts: the numbers the generator draws from.

`statistics.json` beside this file was counted on the 3,553 training games of ALFWorld
json_2.1.1 by `counting.py` and holds aggregate numbers only.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("statistics.json")
FLOOR = "floor"  # a place that is no receptacle
BESIDE = "beside "  # + receptacle kind: on the floor where that receptacle is reached from
ALONE = "alone"  # of a receptacle: it is the first to be reached from its place
ASKED = "asked"  # in place of a number: the task asks for this kind
LAMP_TASK = "look_at_obj_in_light"
TWO_TASK = "pick_two_obj_and_place"
APPLIANCES = {
    "pick_clean_then_place_in_recep": "SinkBasin",
    "pick_heat_then_place_in_recep": "Microwave",
    "pick_cool_then_place_in_recep": "Fridge",
}
ROOMS = ("kitchen", "living_room", "bedroom", "bathroom")  # scenes 1-30, 2xx, 3xx, 4xx


@functools.cache
def shipped() -> dict[str, Any]:
    """The statistics that come with the package."""
    return json.loads(FILE.read_text(encoding="utf-8"))


class GameId(NamedTuple):
    """What the folder name of a game says."""

    task_type: str
    kind: str  # of the object
    target: str  # receptacle kind, or lamp kind
    scene: int


def parse_id(game_id: str) -> GameId:
    """The parts of an id such as `pick_and_place_simple-Mug-None-Desk-308/trial_T2019...`."""
    task_type, kind, _, target, scene = game_id.split("/")[-2].rsplit("-", 4)
    return GameId(task_type, kind, target, int(scene))


class Kinds(NamedTuple):
    """Kinds of things in a room."""

    receptacles: set[str]
    objects: set[str]


def needed_kinds(task_type: str, kind: str, target: str) -> Kinds:
    """What a task cannot do without."""
    if task_type == LAMP_TASK:
        return Kinds(set(), {kind, target})
    # Without an appliance the target stands for both: a set holds it once.
    return Kinds({target, APPLIANCES.get(task_type, target)}, {kind})
