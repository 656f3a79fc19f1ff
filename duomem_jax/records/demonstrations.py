"""What a teacher showed: a chat whose replies are to be learnt."""

from dataclasses import dataclass
from typing import Any

from duomem_jax.records.chat import Chat, message_of
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
    "messages": [{"role": "text", "content": "text", "weight": "int64"}],
}


def demonstration_to_record(demonstration: Demonstration) -> dict[str, Any]:
    """Stored form."""
    return {
        "id": demonstration.id,
        "operation": demonstration.operation,
        "group": demonstration.group,
        "messages": [{"weight": 1} | message for message in demonstration.messages],
    }


def demonstration_from_record(record: dict[str, Any]) -> Demonstration:
    """Inverse of `demonstration_to_record`; takes the stored form (a list per field) too."""
    messages = [
        # Every reply counted before there was a weight.
        message_of(message["role"], message["content"], int(message.get("weight", 1)))
        for message in structures(record["messages"])
    ]
    return Demonstration(record["id"], record["operation"], record["group"], messages)
