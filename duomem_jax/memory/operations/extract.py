"""Extraction: the facts that some turns state, each with the turn that states it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duomem_jax.base.prompts import load_prompt
from duomem_jax.decode.grammar import json_text
from duomem_jax.memory.operations.lines import block, day, line, spaced
from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.operations.schemas import object_schema, text_schema
from duomem_jax.memory.store.keeper import Rejected
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.records.dialogues import Turn

PROMPT = load_prompt(
    str(Path(__file__).with_name("prompts") / "extract.md"),
    ("before", "date", "speakers", "turns"),
)
SIZE, BEFORE = 8, 2  # turns of a window, and turns before it that are shown along with it
MOST_FACTS = 8  # of one window
LONGEST_FACT = 240  # characters


@dataclass(frozen=True)
class Window:
    """Turns of one session that are read together.

    Attributes:
        at: when the session began, ISO 8601 in UTC.
        turns: facts are taken from these alone.
        before: turns before them, so that "she" and "there" can be understood.
    """

    at: str
    turns: tuple[Turn, ...]
    before: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Noted:
    """A fact of a window.

    Attributes:
        turn: index into the turns of the window.
        text: a sentence that stands by itself.
    """

    turn: int
    text: str


def windows(turns: Sequence[Turn], at: str) -> Iterator[Window]:
    """Cut the turns of one session into windows."""
    for start in range(0, len(turns), SIZE):
        before = turns[max(0, start - BEFORE) : start]
        yield Window(at, tuple(turns[start : start + SIZE]), tuple(before))


def extract_chat(window: Window) -> Chat:
    """What a model is asked of a window."""
    speakers = dict.fromkeys(line(turn.speaker) for turn in (*window.before, *window.turns))
    text = PROMPT.fill(
        speakers=" and ".join(speakers),
        date=day(window.at),
        before=block(map(said, window.before)),
        turns=block(f"{i}. {said(turn)}" for i, turn in enumerate(window.turns, 1)),
    )
    return [chat.user(text)]


def said(turn: Turn) -> str:
    """A turn as one line."""
    return f"{line(turn.speaker)}: {line(turn.said)}"


def extract_schema(window: Window) -> dict[str, Any]:
    """JSON schema of a reply."""
    properties = {
        "turn": {"type": "integer", "minimum": 1, "maximum": len(window.turns)},
        "fact": text_schema(LONGEST_FACT),
    }
    fact = object_schema(properties)
    return object_schema({"facts": {"type": "array", "maxItems": MOST_FACTS, "items": fact}})


def extract_reply(noted: Sequence[Noted]) -> str:
    """The reply that says so, as experts are taught it."""
    return json_text({"facts": [{"turn": n.turn + 1, "fact": spaced(n.text)} for n in noted]})


def read_extract(value: Any, window: Window) -> tuple[list[Add], list[Rejected]]:
    """The facts in a reply, which satisfies the schema, as memories to add.

    Args:
        value: the reply, parsed.
        window: what was asked about.
    """
    noted, rejected = read_noted(value, window)
    turns = window.turns
    return [Add(n.text, turns[n.turn].speaker, (turns[n.turn].id,)) for n in noted], rejected


def read_noted(value: Any, window: Window) -> tuple[list[Noted], list[Rejected]]:
    """The facts in a reply, as `read_extract`, in the order of the reply."""
    noted, rejected = [], []
    for fact in value["facts"]:
        text = " ".join(fact["fact"].split())
        if not text:
            rejected.append(Rejected(json_text(fact), "a fact without text"))
        elif not 1 <= fact["turn"] <= len(window.turns):
            rejected.append(Rejected(json_text(fact), "no turn of that number"))
        else:
            noted.append(Noted(fact["turn"] - 1, text))
    return noted, rejected
