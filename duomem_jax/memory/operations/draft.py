"""Operations under way: what the memories will say once they are applied."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from duomem_jax.memory.operations.answer import Memo
from duomem_jax.memory.operations.records import Add, Delete, Keep, Operation, Update
from duomem_jax.memory.operations.update import SIMILAR, Decision
from duomem_jax.memory.store.store import Store

NEAREST = 3  # of what is not in the store yet, those that a new fact is compared with


@dataclass(frozen=True)
class Known:
    """Something that a new fact is compared with.

    Attributes:
        memo: what it says, and since when.
        id: of the memory in the store; None for one that is yet to be added.
        place: of its operation in the draft; None where it has none.
    """

    memo: Memo
    id: int | None
    place: int | None


class Draft:
    """The operations of one plan. The store is read, and stays as it is."""

    def __init__(self, store: Store, at: str, who: str):
        """Begin without operations.

        Args:
            store: what is known.
            at: when the facts were said, ISO 8601 in UTC.
            who: whose memories these are.
        """
        self._store, self._at, self._who = store, at, who
        self._operations: list[Operation | None] = []  # None: withdrawn
        self._changed: dict[int, int] = {}  # place of the operation on a memory
        self._added: dict[int, np.ndarray] = {}  # vector of what is added, by place

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is to be done, in order."""
        return tuple(operation for operation in self._operations if operation is not None)

    def similar(self, fact: Add) -> list[Known]:
        """What may tell of the same, the likest first; behind it, what is yet to be added."""
        found = []
        for entry, _ in self._store.recall(fact.text, k=SIMILAR, who=self._who):
            place = self._changed.get(entry.id)
            operation = None if place is None else self._operations[place]
            if isinstance(operation, Update):
                found.append(Known(Memo(self._at, operation.text), entry.id, place))
            elif not isinstance(operation, Delete):
                found.append(Known(Memo(entry.happened, entry.text), entry.id, place))
        for place in self._nearest(fact):
            operation = self._operations[place]
            assert isinstance(operation, Add)
            found.append(Known(Memo(self._at, operation.text), None, place))
        return found

    def _nearest(self, fact: Add) -> list[int]:
        """Places of what is added and most like a fact."""
        if not self._added:
            return []
        (fact_E,) = self._embed([fact.text])
        places = list(self._added)
        cosines = np.stack([self._added[place] for place in places]) @ fact_E
        return [places[i] for i in np.argsort(-cosines, kind="stable")[:NEAREST]]

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        assert self._store.embedder is not None
        return self._store.embedder.embed(list(texts))

    def add(self, fact: Add) -> None:
        """Remember a fact as it is."""
        (self._added[len(self._operations)],) = self._embed([fact.text])
        self._operations.append(fact)

    def keep(self, known: Known) -> None:
        """A fact is known already."""
        if known.id is not None and known.place is None:
            self._changed[known.id] = len(self._operations)
            self._operations.append(Keep(known.id))

    def decide(self, decision: Decision, fact: Add, known: Sequence[Known]) -> None:
        """Take down what a fact changes.

        Args:
            decision: about `known`.
            fact: what was said.
            known: what it was compared with.
        """
        text = decision.text or fact.text
        if decision.do == "add":
            self.add(replace(fact, text=text))
            return
        of = known[decision.index]
        if of.id is None:
            # Not in the store yet: said and taken back in one breath.
            assert of.place is not None
            del self._added[of.place]
            self._operations[of.place] = None
            if decision.do == "update":
                self.add(replace(fact, text=text))
        else:
            done = Update(of.id, text, fact.evidence)
            self._replace(of.id, done if decision.do == "update" else Delete(of.id, fact.evidence))

    def _replace(self, id: int, operation: Operation) -> None:
        # One operation for each memory: the last word counts.
        if (place := self._changed.get(id)) is not None:
            self._operations[place] = None
        self._changed[id] = len(self._operations)
        self._operations.append(operation)
