"""Demonstrations of updates: the facts of a dialogue are told to a store one by one."""

from collections.abc import Iterator, Sequence

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.answer import Memo
from duomem_jax.memory.operations.names import UPDATE
from duomem_jax.memory.operations.records import Add, Delete, Operation, Update
from duomem_jax.memory.operations.update import SIMILAR, Decision, Do, update_chat, update_reply
from duomem_jax.memory.store.entry import Entry, Origin
from duomem_jax.memory.teach.scratch import scratch_store
from duomem_jax.memory.teach.tell import TEACHER
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue, Fact
from duomem_jax.worlds.dialogues import teacher

# Without `KEEP`: as in MemLoRA, what stays is not written.
_DO: dict[str, Do] = {teacher.ADD: "add", teacher.UPDATE: "update", teacher.DELETE: "delete"}


def updates(dialogue: Dialogue, embedder: Embedder) -> Iterator[Demonstration]:
    """What each fact changes, where there are memories that it could change.

    A fact that is about some of them is shown a second time, without those, as a new one. A model
    that extracts misses some facts, and an expert that never lacks what a fact changes learns to
    change another memory instead.
    """
    facts: dict[int, Fact] = {}  # what each memory says
    with scratch_store(embedder) as store:
        for number, fact in enumerate(dialogue.facts):
            at = dialogue.sessions[fact.session].at
            known = [entry for entry, _ in store.recall(fact.text, k=SIMILAR)]
            decided = teacher.update([facts[entry.id] for entry in known], fact)
            about = {d.index for d in decided if d.index is not None}
            others = [entry for i, entry in enumerate(known) if i not in about]
            decisions, new = _written(decided, fact), Memo(at, fact.text)
            name = f"{dialogue.id}/{number}"
            if known:
                yield _lesson(name, dialogue, new, known, decisions)
            if about and others:
                yield _lesson(f"{name}/missed", dialogue, new, others, [Decision("add")])
            operations = [_operation(decision, fact, known) for decision in decisions]
            for done in store.apply(operations, Origin(TEACHER, dialogue.id, "", at)):
                if done.id is not None:
                    facts[done.id] = fact


def _lesson(
    name: str, dialogue: Dialogue, new: Memo, known: Sequence[Entry], decisions: Sequence[Decision]
) -> Demonstration:
    """Decisions on a new fact beside some memories, as a chat."""
    asked = update_chat(new, [Memo(entry.happened, entry.text) for entry in known])
    messages = [*asked, chat.assistant(update_reply(decisions))]
    return Demonstration(name, UPDATE, dialogue.id, messages)


def _written(decided: Sequence[teacher.Decision], fact: Fact) -> list[Decision]:
    """The teacher's decisions as an expert is to write them: what stays is not mentioned."""
    return [
        Decision(
            _DO[d.kind],
            -1 if d.index is None else d.index,
            "" if d.text == fact.text else d.text,
        )
        for d in decided
        if d.kind in _DO
    ]


def _operation(decision: Decision, fact: Fact, known: Sequence[Entry]) -> Operation:
    text = decision.text or fact.text
    match decision.do:
        case "add":
            return Add(text, fact.speaker, fact.evidence)
        case "update":
            return Update(known[decision.index].id, text, fact.evidence)
    return Delete(known[decision.index].id, fact.evidence)
