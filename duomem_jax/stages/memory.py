"""A store of memories from the command line."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.parse import json_lines
from duomem_jax.base.ranges import Count, checked
from duomem_jax.memory.bank import read_memories
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, Embedder, make_embedder
from duomem_jax.memory.maintain import POLICIES, PolicyName, maintain_store
from duomem_jax.memory.operations.keeper import ModelKeeper
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.records import Operation
from duomem_jax.memory.store.entry import ADDED, REJECTED, Applied, Entry
from duomem_jax.memory.store.procedures import add_scripts, credit_episodes
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Turn
from duomem_jax.records.played import read_episodes
from duomem_jax.speak.served.server import Server

File = Annotated[str, tyro.conf.Positional, tyro.conf.arg(name="store", metavar="STORE")]
Text = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
Number = Annotated[Count, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]
Place = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
Keep = Annotated[Models, tyro.conf.arg(name="")]


def add(
    store: File,
    text: Text,
    /,
    speaker: str = "user",
    at: str = "",
    who: str = "",
    image: str = "",
    embedder: str = "",
    models: Keep = Models(),
    server: Server = Server(),
) -> str:
    """Remember what was said: word for word, or what a model makes of it.

    Args:
        store: file of the store, made if it is missing.
        text: what was said.
        speaker: by whom.
        at: when, such as 2024-05-01T12:00:00+02:00; empty: now.
        who: whose memory it is, to keep several people apart.
        image: file of a picture that is shared with it; the store keeps a copy.
        embedder: hashing, minilm, ...; empty: the one that the store has, hashing for a new one.
        models: without one, what was said is kept as it is.
        server: where a model openai:NAME is.

    Raises:
        UserError: another file, a time without a zone, another embedder, or no picture.
    """
    turn = Turn("1", speaker, text)
    with _opened(store, embedder, models, server) as opened:
        start = time.monotonic()
        applied = opened.remember([turn], at=at or None, who=who, pictures=shared_with(turn, image))
        seconds = time.monotonic() - start
        return "\n".join([*(applied_line(opened, each) for each in applied), f"{seconds:.2f} s"])


def plan(
    store: File,
    text: Text,
    /,
    speaker: str = "user",
    at: str = "",
    who: str = "",
    image: str = "",
    embedder: str = "",
    models: Keep = Models(),
    server: Server = Server(),
) -> str:
    """Show what `duomem memory add` would do; nothing is done.

    Args:
        store: file of the store.
        text: what would be said.
        speaker: by whom.
        at: when, such as 2024-05-01T12:00:00+02:00; empty: now.
        who: whose memory it would be.
        image: file of a picture that would be shared with it.
        embedder: as in `duomem memory add`.
        models: without one, what is said is kept as it is.
        server: where a model openai:NAME is.

    Raises:
        UserError: as `add`.
    """
    with _opened(store, embedder, models, server) as opened:
        turn = Turn("1", speaker, text)
        found = opened.plan([turn], at=at or None, who=who, pictures=shared_with(turn, image))
        lines = [_proposed(operation) for operation in found.operations]
        return "\n".join(lines + [f"rejected: {r.why}" for r in found.rejected]) or "nothing"


@checked
def recall(
    store: File,
    query: Text,
    /,
    k: Count = 10,
    at: str = "",
    who: str = "",
    speaker: str = "",
    json: bool = False,
) -> str:
    """Show the memories that fit a question, best first.

    Args:
        store: file of the store.
        query: any text.
        k: how many at most.
        at: as it was known then, such as 2024-05-01T12:00:00Z; empty: now.
        who: whose memories; empty: all.
        speaker: whom they are about; empty: all.
        json: one line of JSON for each, with its score.

    Raises:
        UserError: no such store, or a time without a zone.
    """
    with existing(store) as opened:
        found = opened.recall(query, k=k, at=at or None, who=who or None, speaker=speaker or None)
        if json:
            return json_lines({"score": score} | asdict(entry) for entry, score in found)
        return (
            "\n".join(f"{score:8.3f}  {memory_line(entry)}" for entry, score in found) or "nothing"
        )


def answer(
    store: File,
    query: Text,
    /,
    models: Keep,
    at: str = "",
    who: str = "",
    image: str = "",
    server: Server = Server(),
    json: bool = False,
) -> str:
    """Answer a question from memories.

    A model that sees looks at the pictures of those that fit best, and answers from them.

    Args:
        store: file of the store.
        query: the question.
        models: whose `answer` expert answers, or whose `look` expert where there are pictures.
        at: as it was known then; empty: now.
        who: whose memories; empty: all.
        image: file of a picture that the question is about, for a model that sees.
        server: where a model openai:NAME is.
        json: one line of JSON, with the memories that were shown.

    Raises:
        UserError: no such store or model; no picture, or one for a model that does not see.
    """
    with existing(store) as opened, _kept(opened, models, server):
        found = opened.answer(query, at=at or None, who=who or None, image=image or None)
        if json:
            return json_lines([{"text": found.text, "shown": [asdict(e) for e in found.shown]}])
        return "\n".join([found.text, *(f"  from {memory_line(entry)}" for entry in found.shown)])


def show(store: File, /, at: str = "", who: str = "", json: bool = False) -> str:
    """Show all memories.

    Args:
        store: file of the store.
        at: as they were then; empty: now.
        who: whose; empty: all.
        json: one line of JSON for each.

    Raises:
        UserError: no such store, or a time without a zone.
    """
    with existing(store) as opened:
        entries = opened.entries(at=at or None, who=who or None)
        if json:
            return json_lines(map(asdict, entries))
        return "\n".join(map(memory_line, entries)) or "nothing"


@checked
def history(store: File, number: Number, /) -> str:
    """Show all that a memory has said.

    Args:
        store: file of the store.
        number: of the memory.

    Raises:
        UserError: no such store or memory.
    """
    with existing(store) as opened:
        versions = opened.history(number)
        if not versions:
            raise UserError(f"{store}: no memory {number}; `duomem memory show` lists them")
        return "\n".join(
            f"{v.version}  {v.operation:6}  {v.happened}  by {v.writer or '?'}  {v.text}"
            for v in versions
        )


@checked
def forget(store: File, /, ids: tuple[Count, ...] = (), who: str = "", before: str = "") -> str:
    """Erase memories with histories and pictures, so that nothing of them is left in the file.

    Args:
        store: file of the store.
        ids: of memories.
        who: all of this owner.
        before: what happened before this time. Several conditions narrow the choice.

    Raises:
        UserError: no condition, no such store, or others read it for too long.
    """
    with existing(store) as opened:
        erased = opened.forget(ids=ids or None, who=who or None, before=before or None)
        return f"{store}: {len(erased):,} memories erased"


def export(store: File, file: Place, /) -> str:
    """Write a store with its histories and vectors as JSON Lines; pictures to FILE.pictures.

    Args:
        store: file of the store.
        file: to write.

    Raises:
        UserError: no such store, or the file is there already.
    """
    with existing(store) as opened:
        return f"{file}: {opened.export(file):,} memories written"


def import_(store: File, file: Place, /, embedder: str = "") -> str:
    """Fill a new store from what `duomem memory export` wrote.

    Args:
        store: file to make.
        file: to read.
        embedder: the one that made the vectors; empty: hashing.

    Raises:
        UserError: the store is not empty, or a line is damaged.
    """
    made = not Path(store).exists()
    try:
        with Store.open(store, embedder=open_embedder(embedder)) as opened:
            return f"{store}: {opened.import_(file):,} memories read"
    except UserError:
        # A file that is refused leaves no store behind.
        if made:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{store}{suffix}").unlink(missing_ok=True)
        raise


def reindex(store: File, /, embedder: str) -> str:
    """Recompute the vectors of all memories with another embedder.

    Args:
        store: file of the store.
        embedder: hashing, minilm, sentence-transformers[:model] or openai[:model].

    Raises:
        UserError: no such store, or the embedder fails.
    """
    with existing(store) as opened:
        made = make_embedder(embedder)
        opened.reindex(made)
        return f"{store}: {len(opened):,} memories have vectors of {made.name}"


def maintain(
    store: File,
    /,
    policy: PolicyName,
    at: str = "",
    who: str = "",
) -> str:
    """Drop or merge memories by a rule; what they said stays in the history.

    Args:
        store: file of the store.
        policy: what misled; what is old and unused; what is said twice; what has no room.
        at: the time to go by, such as 2024-05-01T12:00:00Z; empty: now.
        who: whose memories; empty: all.

    Raises:
        UserError: no such store, or a time without a zone.
    """
    with existing(store) as opened:
        applied = maintain_store(opened, POLICIES[policy], opened.moment(at or None), who or None)
        done = sum(each.status != REJECTED for each in applied)
        return f"{store}: {done:,} changes, {len(opened):,} memories left"


def bank(store: File, folder: Place, /, embedder: str = DEFAULT_EMBEDDER, who: str = "") -> str:
    """Take the procedural memories of a bank into a store, with their uses.

    Args:
        store: file of the store, made if it is missing; players take it as they take the bank.
        folder: of the bank, from `duomem memories`.
        embedder: the one that players recall with.
        who: whose they are to be.

    Raises:
        UserError: no such bank, or another embedder.
    """
    # Before the store is opened: a folder that is refused leaves no store behind.
    memories = read_memories(folder)
    with Store.open(store, embedder=make_embedder(embedder)) as opened:
        applied = add_scripts(opened, memories, who=who)
        added = sum(each.status == ADDED for each in applied)
        return f"{store}: {added:,} scripts added, {len(applied) - added:,} known already"


def credit(store: File, /, episodes: str) -> str:
    """Count the games that procedural memories were shown in, and how many of them were won.

    Args:
        store: file of the store.
        episodes: folder of what was played with it, from `duomem play`.

    Raises:
        UserError: no such store or episodes.
    """
    with existing(store) as opened:
        counted = credit_episodes(opened, read_episodes(episodes))
        return f"{store}: {counted:,} memories were shown"


def existing(store: str) -> Store:
    """A store that is to be read, or changed without a model."""
    return Store.open(store, make=False)


def open_embedder(name: str) -> Embedder | None:
    """The embedder of a store; None where the store is to say."""
    return make_embedder(name) if name else None


def shared_with(turn: Turn, image: str) -> dict[str, str]:
    """The picture of a turn as `Store.remember` wants it; "" for none."""
    return {turn.id: image} if image else {}


def answers_of(store: str) -> Path:
    """Where the answers of a served model lie that keeps a store: each is paid once."""
    return Path(f"{store}.served")


@contextlib.contextmanager
def _opened(store: str, embedder: str, models: Models, server: Server) -> Iterator[Store]:
    """A store, kept by models where some are given."""
    with (
        Store.open(store, embedder=open_embedder(embedder)) as opened,
        _kept(opened, models, server) if models.model else contextlib.nullcontext(),
    ):
        yield opened


@contextlib.contextmanager
def _kept(store: Store, models: Models, server: Server) -> Iterator[None]:
    """Let models keep a store."""
    with models.open(server, answers_of(str(store.path))) as experts:
        store.keeper = ModelKeeper(experts)
        yield


def memory_line(entry: Entry) -> str:
    """A memory as one line."""
    owner = f"  ({entry.owner})" if entry.owner else ""
    shown = f"  (pictures: {len(entry.pictures)})" if entry.pictures else ""
    return f"{entry.id:>4}  {entry.happened[:10]}  {entry.speaker}: {entry.text}{owner}{shown}"


def applied_line(store: Store, applied: Applied) -> str:
    """What became of an operation, as one line."""
    entry = None if applied.id is None else store.get(applied.id)
    said = memory_line(entry) if entry else applied.why
    return f"{applied.status:8}  {said}"


def _proposed(operation: Operation) -> str:
    facts = {k: v for k, v in vars(operation).items() if k in ("id", "text") and v}
    return f"{type(operation).__name__.lower():6}  " + "  ".join(map(str, facts.values()))
