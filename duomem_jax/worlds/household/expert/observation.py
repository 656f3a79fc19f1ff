"""What the text of the household world says, read without any privileged state."""

import re
from dataclasses import dataclass, field

_ITEM = re.compile(r"\ba (\w+) (\d+)")
_PLACE = re.compile(r"(?:On the|The) (\w+ \d+)(?:,| is (open|closed))")
_TASK = re.compile(r"Your task is to: (.*)$", re.MULTILINE)


def kind(name: str) -> str:
    """`mug 2` → `mug`."""
    return name.rsplit(" ", 1)[0]


def items(text: str) -> list[str]:
    """Names listed in an observation, in its order: `a mug 2, and a apple 1`."""
    return [f"{name} {number}" for name, number in _ITEM.findall(text)]


def task_sentence(first_observation: str) -> str:
    """The sentence after `Your task is to:`; empty if there is none."""
    match = _TASK.search(first_observation)
    return match[1] if match else ""


@dataclass
class Beliefs:
    """What one episode's text has told so far.

    Attributes:
        receptacles: every place named at the start, in the text's order.
        contents: place → objects last seen there; a place is absent until it was looked into.
        here: the place last gone to.
        closed: whether the text last said that `here` is closed.
        holding: the object in hand, or None.
    """

    receptacles: list[str]
    contents: dict[str, list[str]] = field(default_factory=dict)
    here: str | None = None
    closed: bool = False
    holding: str | None = None

    @classmethod
    def from_first(cls, observation: str) -> "Beliefs":
        """Read the receptacles from the text of a reset."""
        return cls(receptacles=items(observation.split("Your task")[0]))

    def update(self, action: str, observation: str) -> bool:
        """Take in the answer to `action`; False if the world said that nothing happened."""
        if observation.startswith("Nothing happens"):
            return False
        words = action.split()
        if action.startswith("go to "):
            self.here = action[6:]
        elif action.startswith("close "):  # possibly something beside, and not where we stand
            self.closed = self.closed or action[6:] == self.here
        elif action.startswith("take "):
            self.holding = " ".join(words[1:3])
            # It may be in the lists of several places, as an object can be in two receptacles.
            self.forget(self.holding)
        elif action.startswith("move "):
            self.holding = None
            self.contents.setdefault(" ".join(words[4:6]), []).append(" ".join(words[1:3]))
        place = _PLACE.search(observation)
        if place:
            self.here = place[1]
            self.closed = place[2] == "closed"
            # What a closed one holds is unknown, not empty: it stays unsearched.
            if not self.closed:
                self.contents[place[1]] = items(observation)
        return True

    def forget(self, name: str) -> None:
        """Take an object out of the places where it was seen."""
        for objects in self.contents.values():
            if name in objects:
                objects.remove(name)

    def where(self, object_kind: str, *, but_not_in: str | None = None) -> tuple[str, str] | None:
        """(object, place) of the first seen object of a kind, the current place first."""
        # What is here costs no walk; the sort keeps the order of the others.
        places = sorted(self.contents, key=lambda p: p != self.here)
        for place in places:
            if place != but_not_in:
                for name in self.contents[place]:
                    if kind(name) == object_kind:
                        return name, place
        return None
