"""Demonstrations of a model: what it notes of each window, and what it lets each fact change.

As in MemLoRA (arXiv 2512.04763), a large model keeps memories of a dialogue, and small ones learn
to do the same. What it says in another form than was asked for is not shown, and counted.
"""

import sys
from collections.abc import Sequence
from typing import Any

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.ask import Asker, Question
from duomem_jax.memory.operations.extract import (
    extract_chat,
    extract_reply,
    extract_schema,
    read_noted,
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
from duomem_jax.memory.teach.tell import tell_turns
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
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


def spoken_extractions(dialogue: Dialogue, experts: Experts) -> Shown:
    """What a model notes of each window of a dialogue, which needs no facts and no questions."""
    asker = Asker(experts.extract, EXTRACT_TOKENS)
    parts = [part for s in dialogue.sessions for part in windows(s.turns, s.at)]
    asked = [Question(extract_chat(part), extract_schema(part)) for part in parts]
    taught = []
    for part, question, value in zip(parts, asked, asker.ask(asked), strict=True):
        if value is not None:
            noted, rejected = read_noted(value, part)
            asker.tally.rejected += rejected
            taught.append([*question.chat, chat.assistant(extract_reply(noted))])
    return _shown(dialogue, EXTRACT, taught, asker)


def spoken_updates(dialogue: Dialogue, experts: Experts, embedder: Embedder) -> Shown:
    """What models that are told a dialogue session by session change in their own memories.

    Args:
        dialogue: needs no facts and no questions.
        experts: the models; they extract as well, as it is their own facts that change something.
        embedder: finds memories that are like a fact.
    """
    keeper, asker = ModelKeeper(experts), Overheard(experts.update, UPDATE_TOKENS)
    keeper.updating = asker
    with scratch_store(embedder, keeper) as store:
        tell_turns(store, dialogue)
    taught = []
    for question, value in asker.heard:
        if value is not None:
            # The keeper has counted what is rejected; no number is larger than the schema allows.
            decisions, _ = read_update(value, known=sys.maxsize)
            taught.append([*question.chat, chat.assistant(update_reply(decisions))])
    return _shown(dialogue, UPDATE, taught, asker)


def _shown(dialogue: Dialogue, operation: Name, taught: Sequence[Chat], asker: Asker) -> Shown:
    demonstrations = [
        Demonstration(f"{dialogue.id}/{number}", operation, dialogue.id, messages)
        for number, messages in enumerate(taught)
    ]
    return Shown(demonstrations, {"rejected": len(asker.tally.rejected)})
