"""What a teacher showed: a chat whose replies are to be learnt."""

import itertools
import os
from dataclasses import dataclass
from typing import Any

from duomem_jax.records.chat import (
    Chat,
    Content,
    Message,
    Part,
    content_of,
    is_learnt,
    message_of,
    picture,
    text,
    text_of,
)
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
# With pictures: in which message each stands, and before which letter of its words.
SEEN_LAYOUT: Layout = DEMONSTRATION_LAYOUT | {
    "pictures": [{"message": "int64", "at": "int64", "path": "text", "sha256": "text"}]
}


def demonstration_to_record(demonstration: Demonstration, *, seen: bool = False) -> dict[str, Any]:
    """Stored form.

    Args:
        demonstration: what was shown.
        seen: whether its dataset holds pictures (`SEEN_LAYOUT`).
    """
    record = {
        "id": demonstration.id,
        "operation": demonstration.operation,
        "group": demonstration.group,
        "messages": [
            {"role": m["role"], "content": text_of(m), "learnt": is_learnt(m)}
            for m in demonstration.messages
        ],
    }
    if not seen:
        return record
    pictures = [
        {"message": i, **found} for i, m in enumerate(demonstration.messages) for found in _lie(m)
    ]
    return record | {"pictures": pictures}


def _lie(message: Message) -> list[dict[str, Any]]:
    """The pictures of a message, and before which of its letters they stand."""
    content, at, found = message["content"], 0, []
    for part in [] if isinstance(content, str) else content:
        if part["type"] == "text":
            at += len(part["text"])
        else:
            found.append({"at": at, "path": part["path"], "sha256": part.get("sha256", "")})
    return found


def demonstration_from_record(record: dict[str, Any], folder: str = "") -> Demonstration:
    """Inverse of `demonstration_to_record`; takes the stored form (a list per field) too.

    Args:
        record: of a demonstration.
        folder: what paths of pictures are relative to.
    """
    pictures = structures(record.get("pictures", []))
    messages = [
        message_of(
            m["role"],
            _with_pictures(m["content"], [p for p in pictures if p["message"] == i], folder),
            # Every reply was learnt before there was a field for it.
            learnt=bool(m.get("learnt", True)),
        )
        for i, m in enumerate(structures(record["messages"]))
    ]
    return Demonstration(record["id"], record["operation"], record["group"], messages)


def _with_pictures(words: str, pictures: list[dict[str, Any]], folder: str) -> Content:
    """The content of a message, its pictures in their places."""
    cuts = [0, *(int(p["at"]) for p in pictures), len(words)]
    texts = [text(words[a:b]) for a, b in itertools.pairwise(cuts)]
    parts: list[Part] = [texts[0]]
    for one, after in zip(pictures, texts[1:], strict=True):
        parts += [picture(os.path.join(folder, one["path"]), one["sha256"]), after]
    return content_of(parts)
