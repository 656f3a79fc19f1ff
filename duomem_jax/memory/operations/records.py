"""What can be done to a store of memories, as typed records."""

from dataclasses import dataclass
from typing import TypeAlias

FACT, PROCEDURE = "fact", "procedure"
KINDS = (FACT, PROCEDURE)


@dataclass(frozen=True)
class Add:
    """Remember something new.

    Attributes:
        text: a sentence that stands by itself.
        speaker: whom it is about; "" where that is not known.
        evidence: ids of the turns that say so.
        context: further text that it is found by and that is never shown, such as the turn before.
        kind: `FACT`, or `PROCEDURE` for a script that says how something is done.
        key: what it is matched by; "" for its text.
    """

    text: str
    speaker: str = ""
    evidence: tuple[str, ...] = ()
    context: str = ""
    kind: str = FACT
    key: str = ""


@dataclass(frozen=True)
class Update:
    """Replace what a memory says; what it said before stays in its history.

    Attributes:
        id: of the memory.
        text: what it says from now on.
        evidence: ids of the turns that say so.
        context: further text that it is found by from now on.
    """

    id: int
    text: str
    evidence: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True)
class Delete:
    """Take a memory out of use; it stays in the history (`Store.forget` erases).

    Attributes:
        id: of the memory.
        evidence: ids of the turns that say that it is true no more.
    """

    id: int
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keep:
    """Leave a memory as it is: what was said is known already.

    Attributes:
        id: of the memory.
    """

    id: int


Operation: TypeAlias = Add | Update | Delete | Keep
