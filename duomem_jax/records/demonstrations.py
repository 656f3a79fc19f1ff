"""What a teacher showed: a chat whose replies are to be learnt."""

from dataclasses import dataclass
from typing import Any

from duomem_jax.records.chat import Chat, is_learnt, message_of
from duomem_jax.records.store.features import Layout, structures


@dataclass(frozen=True)
class Demonstration:
    """One chat, as an expert is to answer it.

    Attributes:
        id: unique in its dataset.
        operation: what is shown, such as "extract".
        group: what it was made from, such as a dialogue; held out together.
        messages: an optional system message, then user and assistant by turns.
    """

    id: str
    operation: str
    group: str
    messages: Chat


DEMONSTRATION_LAYOUT: Layout = {
    "id": "text",
    "operation": "text",
    "group": "text",
    "messages": [{"role": "text", "content": "text", "learnt": "bool"}],
}


def demonstration_to_record(demonstration: Demonstration) -> dict[str, Any]:
    """Stored form."""
    return {
        "id": demonstration.id,
        "operation": demonstration.operation,
        "group": demonstration.group,
        "messages": [
            {"role": m["role"], "content": m["content"], "learnt": is_learnt(m)}
            for m in demonstration.messages
        ],
    }


def demonstration_from_record(record: dict[str, Any]) -> Demonstration:
    """Inverse of `demonstration_to_record`; takes the stored form (a list per field) too."""
    messages = [
        # Every reply was learnt before there was a field for it.
        message_of(m["role"], m["content"], learnt=bool(m.get("learnt", True)))
        for m in structures(record["messages"])
    ]
    return Demonstration(record["id"], record["operation"], record["group"], messages)
