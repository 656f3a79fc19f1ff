"""Memories that can be looked up by the text of a task."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.records import PROCEDURE
from duomem_jax.memory.store.procedures import stored_scripts
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.vectors import distinct_keys, read_vectors
from duomem_jax.records.memories import FORMAT, Memory, memory_from_record, memory_to_record
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import MEMORIES, SPLIT


class MemoryBank:
    """Memories over M distinct keys, ranked by the cosine of key and task.

    Household tasks come from a few sentence patterns, so plain top-k returns k times the same
    advice. Walking down the ranking, a memory is therefore passed over when its script was
    already taken, or when its key is a near-duplicate of a taken one: cosine of at least
    `embedder.same`, under which "put a clean plate in fridge" and "clean some plate and put it
    in fridge" are one task. Of memories under one key the most successful stands for all.
    """

    def __init__(
        self,
        memories: Sequence[Memory],
        embedder: Embedder,
        vectors_ME: np.ndarray | None = None,
        content: str = "",
    ) -> None:
        self.memories = tuple(memories)
        self.config: dict[str, Any] = {"memories": content, "embedder": embedder.name}
        self._embedder = embedder
        self._groups: dict[str, list[Memory]] = {}
        # Each group is in order of preference, so that the first one of it that may be shown stands
        # for its key.
        for memory in sorted(self.memories, key=_preference):
            self._groups.setdefault(memory.key, []).append(memory)
        self._keys = distinct_keys(list(self._groups))
        if vectors_ME is None:
            vectors_ME = embedder.embed(self._keys)
        if len(vectors_ME) != len(self._keys):
            raise UserError(
                f"a matrix of {len(vectors_ME)} rows cannot serve {len(self._keys)} keys; run "
                "`duomem memories` again in a new folder"
            )
        self._vectors_ME = vectors_ME

    @classmethod
    def load(cls, folder: str | os.PathLike, embedder: Embedder) -> "MemoryBank":
        """Open a stored bank: the folder of one, or a store with procedural memories.

        Raises:
            UserError: missing, damaged, of an earlier version, or embedded by another embedder; a
                store without a procedural memory.
        """
        if Path(folder).is_file():
            return cls._of_store(folder, embedder)
        memories = read_memories(folder)
        vectors = read_vectors(Path(folder), embedder)
        return cls(memories, embedder, vectors, content_hash(folder))

    @classmethod
    def _of_store(cls, file: str | os.PathLike, embedder: Embedder) -> "MemoryBank":
        with Store.open(file, make=False, embedder=embedder) as store:
            entries = {e.key: e.id for e in store.entries() if e.kind == PROCEDURE}
            vectors, memories = store.vectors(), stored_scripts(store)
        if not memories:
            raise UserError(
                f"{file}: a store without procedural memories; `duomem memory bank` takes some in"
            )
        keys = distinct_keys(list(entries))
        rows_M = np.searchsorted(vectors.ids_M, [entries[key] for key in keys])
        return cls(memories, embedder, vectors.vectors_ME[rows_M], _content(memories))

    def __len__(self) -> int:
        return len(self.memories)

    def retrieve(self, task: str, k: int, *, exclude_game_id: str | None = None) -> list[Memory]:
        """The k best memories for a task, best first; fewer when fewer differ.

        Args:
            exclude_game_id: the game being played; nothing learnt from it is returned.
        """
        return self.retrieve_many([task], k, exclude_game_ids=[exclude_game_id])[0]

    def retrieve_many(
        self, tasks: Sequence[str], k: int, *, exclude_game_ids: Sequence[str | None]
    ) -> list[list[Memory]]:
        """`retrieve` for many tasks; equal texts are embedded once."""
        if not self._keys or k < 1 or not tasks:
            return [[] for _ in tasks]
        distinct = distinct_keys(tasks)
        asked_ME = self._embedder.embed(distinct)
        # Loading compares embedders by name, but a server may change the model behind it.
        if asked_ME.shape[1] != self._vectors_ME.shape[1]:
            raise UserError(
                f"embedder {self._embedder.name} now gives {asked_ME.shape[1]} dimensions, the "
                f"bank has {self._vectors_ME.shape[1]}; build the bank again in another folder"
            )
        # Cosines of each task with each key: the rows of both have length 1.
        scores = asked_ME @ self._vectors_ME.T
        # Rounded, since matrix products differ in the last bits between machines; the sort is
        # stable and the keys are in order, so ties fall the same way everywhere.
        order = np.argsort(-np.round(scores, 5), axis=1, kind="stable")
        rank = dict(zip(distinct, order, strict=True))
        return [
            self._select(rank[task], k, exclude)
            for task, exclude in zip(tasks, exclude_game_ids, strict=True)
        ]

    def _select(self, order_M: np.ndarray, k: int, exclude: str | None) -> list[Memory]:
        taken: list[Memory] = []
        rows: list[int] = []
        # The walk goes on past k candidates, as many of the best are passed over.
        for row in order_M:
            memory = self._representative(self._keys[row], exclude)
            if memory is None or any(_same_text(memory, other) for other in taken):
                continue
            cosines = self._vectors_ME[rows] @ self._vectors_ME[row]
            # At first nothing is taken, and `max` of nothing is an error.
            if cosines.size and cosines.max() >= self._embedder.same:
                continue
            taken.append(memory)
            rows.append(row)
            if len(taken) == k:
                break
        return taken

    def _representative(self, key: str, exclude: str | None) -> Memory | None:
        # Only the game's own memory is excluded: another game's under the same key is fair advice.
        return next((m for m in self._groups[key] if m.game_id != exclude), None)


def bank_content(place: str | os.PathLike) -> str:
    """What is in a bank, wherever it lies: a hash of its memories.

    Args:
        place: folder of a bank, or a store with procedural memories.

    Raises:
        UserError: missing, damaged or something else.
    """
    if not Path(place).is_file():
        return content_hash(place, MEMORIES)
    with Store.open(place, make=False) as store:
        return _content(stored_scripts(store))


def _content(memories: Sequence[Memory]) -> str:
    records = sorted(json.dumps(memory_to_record(memory)) for memory in memories)
    return hashlib.sha256("\n".join(records).encode()).hexdigest()


def read_memories(folder: str | os.PathLike) -> list[Memory]:
    """The memories of a stored bank.

    Raises:
        UserError: missing, damaged or of an earlier version.
    """
    records = read_dataset(folder, SPLIT, MEMORIES)
    if records.facts["config"].get("format") != FORMAT:
        raise UserError(
            f"{folder}: this bank is of an earlier version of duomem_jax; write it again into "
            "a new folder with `duomem memories`"
        )
    return [memory_from_record(r) for r in records]


def _preference(memory: Memory) -> tuple[float, str]:
    """Best first: the estimated success rate (one win and one loss assumed), then the id."""
    # With the one win and one loss, a memory that was never shown (1/2) comes before one that lost
    # its only game (1/3). Ids decide ties, so that the order is the same in every process.
    return -(memory.successes + 1) / (memory.uses + 2), memory.id


def _same_text(a: Memory, b: Memory) -> bool:
    return a.text.lower().split() == b.text.lower().split()
