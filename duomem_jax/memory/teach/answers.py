"""Demonstrations of answering: the key of each question, behind a page that the key is on."""

from collections.abc import Iterator
from dataclasses import dataclass

from duomem_jax.base.sample import drawn
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.answer import Memo, answer_chat, answer_reply, memo_of
from duomem_jax.memory.operations.names import ANSWER
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.teach.scratch import scratch_store
from duomem_jax.memory.teach.tell import tell_facts, tell_turns
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import ADVERSARIAL, SEEN, Dialogue, Question


@dataclass(frozen=True)
class Pages:
    """What stands before the questions.

    Attributes:
        words: shown at most, where more than the evidence is shown.
        evidence_share: of the questions, those that are shown the evidence alone; the others are
            shown what is found, half of them turns and half of them facts.
        unanswerable: of the adversarial questions, those that are shown at all.
        seed: of which question is shown what.
    """

    words: int
    evidence_share: float
    unanswerable: float
    seed: int


def answers(dialogue: Dialogue, embedder: Embedder, pages: Pages) -> Iterator[Demonstration]:
    """The key of each question whose evidence is known.

    Args:
        dialogue: with questions.
        embedder: finds what is like a question.
        pages: what stands before them.
    """
    with scratch_store(embedder) as turns, scratch_store(embedder) as facts:
        tell_turns(turns, dialogue)
        tell_facts(facts, dialogue, dialogue.facts)
        for question in dialogue.questions:
            name = f"{dialogue.id}/{question.id}"
            if question.kind == ADVERSARIAL and not drawn(pages.seed, name, pages.unanswerable):
                continue
            # No word of any page says what only a picture shows: that is the look expert's.
            if question.kind == SEEN:
                continue
            # Half of those with more than the evidence, from each of the stores.
            of = facts if drawn(pages.seed, f"{name}/facts", 0.5) else turns
            alone = drawn(pages.seed, f"{name}/evidence", pages.evidence_share)
            page = _cited(turns, question) if alone else _found(of, question, pages.words)
            # Without what the answer is in, a page would teach nothing but guessing.
            if page:
                reply = chat.assistant(answer_reply(question.answer))
                messages = [*answer_chat(question.text, page), reply]
                yield Demonstration(name, ANSWER, dialogue.id, messages)


def _cited(store: Store, question: Question) -> list[Memo]:
    """What rests on the evidence of a question."""
    wanted = set(question.evidence)
    return [memo_of(entry) for entry in store.entries() if wanted & set(entry.evidence)]


def _found(store: Store, question: Question, words: int) -> list[Memo]:
    """What is found for a question, and what its answer is in before all else."""
    page = _cited(store, question)
    if not page:
        return []
    left = words - sum(len(memo.text.split()) for memo in page)
    for entry, _ in store.recall(question.text, tokens=words):
        memo = memo_of(entry)
        left -= len(memo.text.split())
        if left < 0:
            break
        if memo not in page:
            page.append(memo)
    return page
