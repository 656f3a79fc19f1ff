"""Demonstrations of updates: the facts of a dialogue are told to a store one by one."""

from collections.abc import Iterator, Mapping, Sequence

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
    """What each fact changes, where there are memories that it could change."""
    facts: dict[int, Fact] = {}  # what each memory says
    with scratch_store(embedder) as store:
        for number, fact in enumerate(dialogue.facts):
            at = dialogue.sessions[fact.session].at
            known = [entry for entry, _ in store.recall(fact.text, k=SIMILAR)]
            pages = {f"{dialogue.id}/{number}": known}
            # A model that extracts misses some facts: what would change one of those is new. Who
            # never sees that changes some other memory instead.
            if missed := _without(fact, known, facts):
                pages[f"{dialogue.id}/{number}/missed"] = missed
            for name, page in pages.items():
                if page:
                    memos = [Memo(entry.happened, entry.text) for entry in page]
                    reply = update_reply(decide([facts[entry.id] for entry in page], fact))
                    messages = [*update_chat(Memo(at, fact.text), memos), chat.assistant(reply)]
                    yield Demonstration(name, UPDATE, dialogue.id, messages)
            decisions = decide([facts[entry.id] for entry in known], fact)
            operations = [_operation(decision, fact, known) for decision in decisions]
            for done in store.apply(operations, Origin(TEACHER, dialogue.id, "", at)):
                if done.id is not None:
                    facts[done.id] = fact


def _without(fact: Fact, known: Sequence[Entry], facts: Mapping[int, Fact]) -> list[Entry]:
    """The memories that are not about the same thing; none where all or none are."""
    decisions = teacher.update([facts[entry.id] for entry in known], fact)
    same = {decision.index for decision in decisions} - {None}
    return [entry for i, entry in enumerate(known) if i not in same] if same else []


def decide(known: Sequence[Fact], fact: Fact) -> list[Decision]:
    """The teacher's decisions as an expert is to write them: what stays is not mentioned."""
    return [
        Decision(
            _DO[d.kind],
            -1 if d.index is None else d.index,
            "" if d.text == fact.text else d.text,
        )
        for d in teacher.update(known, fact)
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
