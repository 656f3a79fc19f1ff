"""Demonstrations of looking: the key of each question about a picture, behind that picture."""

from collections.abc import Iterator

from duomem_jax.base.sample import drawn
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.answer import answer_reply, memo_of
from duomem_jax.memory.operations.look import MOST, Sight, look_chat
from duomem_jax.memory.operations.names import LOOK
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.teach.scratch import scratch_store
from duomem_jax.memory.teach.tell import tell_turns
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import SEEN, TOLD, Dialogue, Question


def looks(
    dialogue: Dialogue, embedder: Embedder, evidence_share: float, seed: int
) -> Iterator[Demonstration]:
    """The key of each question about a picture.

    Args:
        dialogue: with pictures, and questions about them.
        embedder: finds what is like a question.
        evidence_share: of the questions, those that are shown their picture alone; the others see
            further ones that are found for them.
        seed: of which question is shown what.
    """
    pictures = {turn.id: turn.picture for _, turn in dialogue.turns() if turn.picture}
    with scratch_store(embedder) as turns:
        tell_turns(turns, dialogue)
        for question in dialogue.questions:
            wanted = [turn for turn in question.evidence if turn in pictures]
            if question.kind not in (SEEN, TOLD) or not wanted:
                continue
            name = f"{dialogue.id}/{question.id}"
            most = 1 if drawn(seed, f"{name}/evidence", evidence_share) else MOST
            sights = _sights(turns, question, pictures, wanted[:1])[:most]
            reply = chat.assistant(answer_reply(question.answer))
            messages = [*look_chat(question.text, sights), reply]
            yield Demonstration(name, LOOK, dialogue.id, messages)


def _sights(
    store: Store, question: Question, pictures: dict[str, str], wanted: list[str]
) -> list[Sight]:
    """What a question is about, and then the other pictures that are found for it."""
    held = {turn: entry for entry in store.entries() for turn in entry.evidence}
    found = [turn for entry, _ in store.recall(question.text) for turn in entry.evidence]
    order = dict.fromkeys([*wanted, *(turn for turn in found if turn in pictures)])
    # A file has the name of its contents, and lies in the folder that paths are relative to.
    return [
        Sight(chat.picture(pictures[turn], pictures[turn]), memo_of(held[turn])) for turn in order
    ]
