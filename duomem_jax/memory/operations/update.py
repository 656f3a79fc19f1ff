"""Update: what a new fact changes in the memories that are like it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from duomem_jax.base.prompts import load_prompt
from duomem_jax.decode.grammar import json_text
from duomem_jax.memory.operations.answer import Memo
from duomem_jax.memory.operations.lines import block, dated, spaced
from duomem_jax.memory.operations.schemas import object_schema, text_schema
from duomem_jax.memory.store.keeper import Rejected
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat

PROMPT = load_prompt(str(Path(__file__).with_name("prompts") / "update.md"), ("fact", "memories"))
SIMILAR = (
    8  # memories that a new fact is compared with; Mem0 has 5, and misses more (docs/memlora.md)
)
MOST_OPERATIONS = 4
LONGEST_TEXT = 240  # characters


Do: TypeAlias = Literal["add", "update", "delete"]


@dataclass(frozen=True)
class Decision:
    """One thing that a new fact changes.

    Attributes:
        do: "add": the fact is new. "update": it replaces a memory. "delete": a memory is true no
            more.
        index: of the memory among those that the fact was compared with; -1 for "add".
        text: what the memory says from now on, or what is added; "" for the fact's own text.
    """

    do: Do
    index: int = -1
    text: str = ""


def update_chat(fact: Memo, known: Sequence[Memo]) -> Chat:
    """What a model is asked of a new fact.

    Args:
        fact: what was said.
        known: memories that may say the same, or something else of the same, the likest first:
            that one is most often the one that changes, and a place is easy to learn.
    """
    # Numbers of this call alone: a model miscopies long ids, and what it may name is on the page.
    # The fact stands first, so that each memory can be read with it in mind.
    memories = (f"{i}. {dated(memo.at, memo.text)}" for i, memo in enumerate(known, 1))
    text = PROMPT.fill(memories=block(memories), fact=dated(fact.at, fact.text))
    return [chat.user(text)]


def update_schema(known: int) -> dict[str, Any]:
    """JSON schema of a reply to a fact that was compared with so many memories."""
    number = {"type": "integer", "minimum": 1, "maximum": known}
    changed = {"do": {"const": "update"}, "id": number}
    choices = [
        object_schema({"do": {"const": "add"}}),
        object_schema(changed),
        object_schema(changed | {"text": text_schema(LONGEST_TEXT)}),
        object_schema({"do": {"const": "delete"}, "id": number}),
    ]
    items = {"type": "array", "maxItems": MOST_OPERATIONS, "items": {"anyOf": choices}}
    return object_schema({"operations": items})


def update_reply(decisions: Sequence[Decision]) -> str:
    """The reply that says so, as experts are taught it; memories that stay are not mentioned."""
    said: list[dict[str, Any]] = []
    for decision in decisions:
        place = {} if decision.do == "add" else {"id": decision.index + 1}
        text = {"text": spaced(decision.text)} if decision.do == "update" and decision.text else {}
        said.append({"do": decision.do, **place, **text})
    return json_text({"operations": said})


def read_update(value: Any, known: int) -> tuple[list[Decision], list[Rejected]]:
    """The decisions in a reply, which satisfies the schema.

    A number that no memory has is rejected, and so is a second decision about one memory.

    Args:
        value: the reply, parsed.
        known: how many memories it could name.
    """
    decisions: list[Decision] = []
    rejected: list[Rejected] = []
    seen: set[int] = set()
    for said in value["operations"]:
        # Adding is about no memory, and is done once.
        number = said.get("id", 0)
        if number in seen:
            why = "a second decision about one memory" if number else "the fact is added twice"
            rejected.append(Rejected(json_text(said), why))
        elif number > known or (number < 1 and said["do"] != "add"):
            rejected.append(Rejected(json_text(said), "no memory has this number"))
        else:
            text = " ".join(said.get("text", "").split())
            decisions.append(Decision(said["do"], number - 1, text))
        seen.add(number)
    return decisions, rejected
