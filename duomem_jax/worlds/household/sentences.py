"""What an ALFWorld task sentence asks for, read from the sentence alone."""

import re
from dataclasses import dataclass
from typing import NamedTuple

_ARTICLE = r"(?:a|an|some|the) "
_PATTERNS = {
    "pick_two_obj_and_place": (
        r"put two (?P<object>\w+) (?:in|on) (?P<target>\w+)\.",
        r"find two (?P<object>\w+) and put them (?:in|on) (?P<target>\w+)\.",
    ),
    "pick_clean_then_place_in_recep": (
        rf"put {_ARTICLE}clean (?P<object>\w+) (?:in|on) (?P<target>\w+)\.",
        rf"clean {_ARTICLE}(?P<object>\w+) and put it (?:in|on) (?P<target>\w+)\.",
    ),
    "pick_heat_then_place_in_recep": (
        rf"put {_ARTICLE}hot (?P<object>\w+) (?:in|on) (?P<target>\w+)\.",
        rf"heat {_ARTICLE}(?P<object>\w+) and put it (?:in|on) (?P<target>\w+)\.",
    ),
    "pick_cool_then_place_in_recep": (
        rf"put {_ARTICLE}cool (?P<object>\w+) (?:in|on) (?P<target>\w+)\.",
        rf"cool {_ARTICLE}(?P<object>\w+) and put it (?:in|on) (?P<target>\w+)\.",
    ),
    "look_at_obj_in_light": (
        r"look at (?P<object>\w+) under the (?P<target>\w+)\.",
        r"examine the (?P<object>\w+) with the (?P<target>\w+)\.",
    ),
    "pick_and_place_simple": (rf"put {_ARTICLE}(?P<object>\w+) (?:in|on) (?P<target>\w+)\.",),
}


class Treatment(NamedTuple):
    """What is done to an object before it is put away, and where."""

    verb: str
    appliance: str  # kind of receptacle


TREATMENTS = {
    "pick_clean_then_place_in_recep": Treatment("clean", "sinkbasin"),
    "pick_heat_then_place_in_recep": Treatment("heat", "microwave"),
    "pick_cool_then_place_in_recep": Treatment("cool", "fridge"),
}


@dataclass(frozen=True)
class Goal:
    """What a task asks for: `target` is a receptacle kind, or the lamp kind of a look task."""

    type: str
    object: str
    target: str


def parse_goal(sentence: str) -> Goal | None:
    """Read one of the six task types from its sentence; None if it is none of them."""
    for task_type, patterns in _PATTERNS.items():
        for pattern in patterns:
            # The whole sentence: none is recognised by a part of it.
            if match := re.fullmatch(pattern, sentence.strip()):
                return Goal(task_type, match["object"], match["target"])
    return None
