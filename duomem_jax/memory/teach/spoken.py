"""Demonstrations of a model: what it notes of each window, and what it lets each fact change.

As in MemLoRA (arXiv 2512.04763), a large model keeps memories of a dialogue, and small ones learn
to do the same. What it says in another form than was asked for is not shown, and counted.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.ask import Asker, Question
from duomem_jax.memory.operations.extract import (
    Noted,
    extract_chat,
    extract_reply,
    extract_schema,
    windows,
)
from duomem_jax.memory.operations.keeper import (
    EXTRACT_TOKENS,
    UPDATE_TOKENS,
    Experts,
    ModelKeeper,
)
from duomem_jax.memory.operations.names import EXTRACT, UPDATE, Name
from duomem_jax.memory.operations.update import read_update, update_reply
from duomem_jax.memory.teach.scratch import scratch_store
from duomem_jax.memory.teach.shown import Shown
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.speak.protocol import Speaker


class Overheard(Asker):
    """Asks a model, and takes down what it said.

    Attributes:
        heard: what was asked, and the values; None where there was none.
    """

    def __init__(self, speaker: Speaker, max_new: int):
        """See `Asker`."""
        super().__init__(speaker, max_new)
        self.heard: list[tuple[Question, Any]] = []

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """See `Asker`."""
        values = super().ask(questions)
        self.heard += zip(questions, values, strict=True)
        return values


def spoken(dialogue: Dialogue, operation: Name, experts: Experts, embedder: Embedder) -> Shown:
    """What models do with a dialogue that they are told session by session.

    Args:
        dialogue: needs no facts and no questions.
        operation: extract or update. For updates the models extract as well: what is changed are
            their own memories, by their own facts.
        experts: the models.
        embedder: finds memories that are like a fact.
    """
    noting = operation == EXTRACT
    asked = _noting(dialogue, experts) if noting else _updating(dialogue, experts, embedder)
    shown, rejected = [], 0
    for number, (question, value) in enumerate(asked.heard):
        if value is None:
            rejected += 1
            continue
        text, omitted = _TAUGHT[operation](value)
        rejected += omitted
        messages = [*question.chat, chat.assistant(text)]
        shown.append(Demonstration(f"{dialogue.id}/{number}", operation, dialogue.id, messages))
    return Shown(shown, {"rejected": rejected})


def _noting(dialogue: Dialogue, experts: Experts) -> Overheard:
    asker = Overheard(experts.extract, EXTRACT_TOKENS)
    parts = (part for s in dialogue.sessions for part in windows(s.turns, s.at))
    asker.ask([Question(extract_chat(part), extract_schema(part)) for part in parts])
    return asker


def _updating(dialogue: Dialogue, experts: Experts, embedder: Embedder) -> Overheard:
    keeper, asker = ModelKeeper(experts), Overheard(experts.update, UPDATE_TOKENS)
    keeper.updating = asker
    with scratch_store(embedder, keeper) as store:
        for session in dialogue.sessions:
            store.remember(session.turns, at=session.at, who=dialogue.id)
    return asker


def _noted(value: Any) -> tuple[str, int]:
    facts = [Noted(fact["turn"] - 1, " ".join(fact["fact"].split())) for fact in value["facts"]]
    told = [fact for fact in facts if fact.text]
    return extract_reply(told), len(facts) - len(told)


def _decided(value: Any) -> tuple[str, int]:
    # That no number is too large the schema has seen to.
    decisions, rejected = read_update(value, known=sys.maxsize)
    return update_reply(decisions), len(rejected)


# A reply as experts are taught it, and how much of it is omitted as it cannot be done.
_TAUGHT: dict[Name, Callable[[Any], tuple[str, int]]] = {EXTRACT: _noted, UPDATE: _decided}
