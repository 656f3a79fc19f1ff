"""Mem0's calls on a store, so that its users change one import.

    from duomem_jax.memory.store.mem0 import Memory  # instead of: from mem0 import Memory

Calls, arguments and what is returned are those of mem0ai 2 (github.com/mem0ai/mem0, Apache-2.0);
both ways of saying whose memories are meant are taken, `user_id=` and `filters={"user_id": ...}`.
What is different: ids are numbers as texts, the score is the retriever's own, and what has no
counterpart here (`prompt`, `rerank`, `threshold`) is refused by Python as an unknown argument.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from duomem_jax.base.errors import UserError
from duomem_jax.base.times import now
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.records import FACT, PROCEDURE, Add, Delete, Update
from duomem_jax.memory.retrieve import Retriever
from duomem_jax.memory.store.entry import (
    ADDED,
    DELETED,
    REJECTED,
    UPDATED,
    Applied,
    Entry,
    Origin,
    Version,
)
from duomem_jax.memory.store.keeper import Keeper, Verbatim
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Turn

SCOPES = ("user_id", "agent_id", "run_id")
PROCEDURAL = "procedural_memory"
_EVENTS = {ADDED: "ADD", UPDATED: "UPDATE", DELETED: "DELETE"}

Message = Mapping[str, Any]


class Memory:
    """A store behind Mem0's calls; a context manager.

    Memories of a user, an agent and a run are those of one owner; searching with fewer of the three
    finds all that agree.

    Attributes:
        store: what is behind it; `store.forget` erases, while `delete` leaves a history.
    """

    def __init__(
        self,
        path: str | os.PathLike = "memories.sqlite",
        *,
        embedder: Embedder | None = None,
        keeper: Keeper | None = None,
        retriever: Retriever | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Open a store or make one; see `Store.open`."""
        self.store = Store.open(
            path, embedder=embedder, keeper=keeper, retriever=retriever, clock=clock
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.store.close()

    def add(
        self,
        messages: str | Message | Sequence[Message],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | str | float | None = None,
        infer: bool = True,
        memory_type: str | None = None,
    ) -> dict[str, Any]:
        """Remember what was said.

        Args:
            messages: a text, a message {"role", "content"}, or several; system messages say what
                an assistant is to do, and are left out.
            user_id, agent_id, run_id: whose memories these are; at least one.
            metadata: JSON that is returned with them and can be filtered by.
            timestamp: when it was said: seconds since 1970, or a time with a zone; None: now.
            infer: let the store's keeper decide; False: keep each message as it is.
            memory_type: "procedural_memory" for how something is done; kept as it is.

        Returns:
            {"results": [{"id", "memory", "event"}]}; events are ADD, UPDATE and DELETE.

        Raises:
            UserError: no owner, a message of another form, a time without a zone.
        """
        if memory_type not in (None, PROCEDURAL):
            raise UserError(f"memory_type is {memory_type!r}; give {PROCEDURAL!r} or leave it out")
        scope = _scope(user_id, agent_id, run_id)
        turns, at = _turns(messages), _time(timestamp)
        owner, session, note = _owner(scope), run_id or "", _note(metadata)
        if memory_type is None and infer:
            applied = self.store.remember(turns, at=at, who=owner, session=session, note=note)
            return {"results": _events(applied)}
        kind = PROCEDURE if memory_type else FACT
        happened = self.store.moment(at)
        plan = Verbatim().plan(self.store, turns, happened, owner)
        adds = [
            Add(o.text, o.speaker, o.evidence, o.context, kind)
            for o in plan.operations
            if isinstance(o, Add)
        ]
        origin = Origin(Verbatim.name, owner, session, happened, note)
        return {"results": _events(self.store.apply(adds, origin))}

    def search(
        self,
        query: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        top_k: int | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """The memories that fit a question, best first.

        Args:
            query: any text.
            user_id, agent_id, run_id: whose memories; at least one, here or in `filters`.
            filters: the same, and values of the metadata.
            top_k: how many at most; 20 by default.
            limit: its older name.

        Returns:
            {"results": [...]}, each as `get` returns it, with its "score".

        Raises:
            UserError: no owner, or a number out of range.
        """
        scope, wanted = _filters(filters, user_id, agent_id, run_id)
        count = _count(top_k, limit)
        who, asked = self._owners(scope), count
        while True:
            found = self.store.recall(query, k=asked, who=who)
            chosen = [f for f in found if _has(f.entry, wanted)]
            if len(chosen) >= count or len(found) < asked:
                break
            asked *= 4  # those whose metadata differ took the others' places
        return {"results": [self._shown(f.entry) | {"score": f.score} for f in chosen[:count]]}

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """One memory; None where there is none of this id."""
        entry = self.store.get(_id(memory_id))
        return self._shown(entry) if entry else None

    def get_all(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        top_k: int | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """All memories of an owner, oldest first; arguments as in `search`."""
        scope, wanted = _filters(filters, user_id, agent_id, run_id)
        found = [e for e in self.store.entries(who=self._owners(scope)) if _has(e, wanted)]
        return {"results": [self._shown(entry) for entry in found[: _count(top_k, limit)]]}

    def update(
        self, memory_id: str, data: str, metadata: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Replace what a memory says; what it said stays in its history.

        Args:
            memory_id: its id.
            data: what it says from now on.
            metadata: what replaces its metadata; None: they stay.

        Raises:
            UserError: there is no such memory, or the text is empty.
        """
        entry = self._known(memory_id)
        note = entry.note if metadata is None else _note(metadata)
        operation = Update(entry.id, data, context=entry.context)
        self._apply(operation, entry, note)
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Take a memory out of use; its history stays.

        Raises:
            UserError: there is no such memory.
        """
        entry = self._known(memory_id)
        self._apply(Delete(entry.id), entry, entry.note)
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> dict[str, str]:
        """Take all memories of an owner out of use; their histories stay.

        Raises:
            UserError: no owner is given.
        """
        scope = _scope(user_id, agent_id, run_id)
        for owner in self._owners(scope):
            entries = self.store.entries(who=owner)
            self.store.apply([Delete(e.id) for e in entries], self._origin(owner, entries, ""))
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """What was done to a memory, first to last."""
        versions = self.store.history(_id(memory_id))
        old: list[Version | None] = [None, *versions]
        return [_change(before, v) for before, v in zip(old, versions, strict=False)]

    def reset(self) -> None:
        """Erase everything, with all histories."""
        self.store.forget(who=self.store.owners())

    def _owners(self, scope: dict[str, str]) -> list[str]:
        return [o for o in self.store.owners() if scope.items() <= _scope_of(o).items()]

    def _known(self, memory_id: str) -> Entry:
        entry = self.store.get(_id(memory_id))
        if entry is None:
            raise UserError(f"memory_id is {memory_id!r}; there is no such memory")
        return entry

    def _origin(self, owner: str, entries: Sequence[Entry], note: str) -> Origin:
        # What is said by hand holds from now on, also for what is dated in the future.
        latest = max((entry.happened for entry in entries), default="")
        return Origin("user", owner, happened=max(latest, self.store.now()), note=note)

    def _shown(self, entry: Entry) -> dict[str, Any]:
        first = self.store.history(entry.id)[:1] if entry.version > 1 else []
        return {
            "id": str(entry.id),
            "memory": entry.text,
            "hash": hashlib.md5(entry.text.encode()).hexdigest(),
            "metadata": _metadata(entry) or None,
            "created_at": first[0].happened if first else entry.happened,
            "updated_at": entry.written,
            **_scope_of(entry.owner),
            "role": entry.speaker,
        }

    def _apply(self, operation: Update | Delete, entry: Entry, note: str) -> None:
        origin = self._origin(entry.owner, [entry], note)
        (applied,) = self.store.apply([operation], origin)
        if applied.status == REJECTED:
            raise UserError(f"memory_id is {entry.id}: {applied.why}")


def _scope(user_id: str | None, agent_id: str | None, run_id: str | None) -> dict[str, str]:
    given = dict(zip(SCOPES, (user_id, agent_id, run_id), strict=True))
    scope = {name: str(value).strip() for name, value in given.items() if value is not None}
    if not scope or "" in scope.values():
        raise UserError(f"whose memories: give one of {', '.join(SCOPES)} at least, not empty")
    return scope


def _owner(scope: dict[str, str]) -> str:
    user = scope.get("user_id", "")
    # A user alone is an owner by name, as in `Store.recall(who=...)`.
    if len(scope) == 1 and user and not user.startswith("{"):
        return user
    return json.dumps(scope, ensure_ascii=False, sort_keys=True)


def _scope_of(owner: str) -> dict[str, str]:
    if not owner.startswith("{"):
        return {"user_id": owner}
    try:
        return json.loads(owner)
    except ValueError:  # a name of somebody who uses the store directly
        return {"user_id": owner}


def _filters(
    filters: Mapping[str, Any] | None,
    user_id: str | None,
    agent_id: str | None,
    run_id: str | None,
) -> tuple[dict[str, str], dict[str, Any]]:
    """(whose memories, values of the metadata)."""
    wanted = dict(filters or {})
    named = zip(SCOPES, (user_id, agent_id, run_id), strict=True)
    given = [wanted.pop(name, value) for name, value in named]
    if logic := {"AND", "OR", "NOT"} & wanted.keys():
        raise UserError(f"filters: {min(logic)} is not known; give the values that must be there")
    if operators := [name for name, value in wanted.items() if isinstance(value, dict | list)]:
        raise UserError(f"filters: {operators[0]} has an operator; give the value it must have")
    return _scope(*given), wanted


def _count(top_k: int | None, limit: int | None) -> int:
    if top_k is not None and limit is not None:
        raise UserError("top_k and limit are two names for one number; give one of them")
    count = top_k if limit is None else limit
    return 20 if count is None else count


def _turns(messages: Any) -> list[Turn]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping):
        messages = [messages]
    turns = []
    for number, message in enumerate(messages):
        form = isinstance(message, Mapping)
        if not form or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise UserError(
                f"messages: number {number} is {message!r}; give a text, or "
                '{"role": "user", "content": "a text"}'
            )
        if message["role"] != "system":
            speaker = str(message.get("name") or message["role"])
            turns.append(Turn(str(number), speaker, message["content"]))
    return turns


def _time(timestamp: datetime | str | float | None) -> datetime | str | None:
    if isinstance(timestamp, int | float):
        try:
            return datetime.fromtimestamp(timestamp, UTC)
        except (ValueError, OverflowError, OSError):
            raise UserError(f"timestamp is {timestamp}; give seconds since 1970") from None
    return timestamp


def _note(metadata: Mapping[str, Any] | None) -> str:
    try:
        return json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True) if metadata else ""
    except (TypeError, ValueError) as e:
        raise UserError(f"metadata: {e}; give what JSON can hold") from None


def _metadata(entry: Entry) -> dict[str, Any]:
    try:
        found = json.loads(entry.note or "{}")
    except ValueError:  # a note of somebody who uses the store directly
        return {"note": entry.note}
    return found if isinstance(found, dict) else {"note": entry.note}


def _has(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    if not wanted:
        return True
    metadata = _metadata(entry)
    return all(k in metadata and v in ("*", metadata[k]) for k, v in wanted.items())


def _events(applied: Sequence[Applied]) -> list[dict[str, Any]]:
    return [
        {"id": str(a.id), "memory": getattr(a.operation, "text", ""), "event": _EVENTS[a.status]}
        for a in applied
        if a.status in _EVENTS
    ]


def _change(before: Version | None, version: Version) -> dict[str, Any]:
    return {
        "id": f"{version.id}-{version.version}",
        "memory_id": str(version.id),
        "old_memory": before.text if before else None,
        "new_memory": version.text or None,
        "event": version.operation.upper(),
        "created_at": version.happened,
        "updated_at": version.written,
        "is_deleted": int(not version.text),
    }


def _id(memory_id: str | int) -> int:
    try:
        return int(memory_id)
    except (TypeError, ValueError):
        raise UserError(f"memory_id is {memory_id!r}; give one that a call returned") from None
