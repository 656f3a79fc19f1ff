"""The stores that assistants are asked from, one for each dialogue."""

import os
from pathlib import Path

from filelock import FileLock

from duomem_jax.base.io import slug
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.store.keeper import Keeper
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Dialogue


def remembered(dialogue: Dialogue, keeper: Keeper, embedder: Embedder, folder: Path) -> Path:
    """The file of what a keeper remembers of a dialogue.

    It is there whole or not at all: a killed run begins a dialogue again. Who asks for what
    another process is remembering waits for it.

    Args:
        dialogue: told session by session.
        keeper: decides what is remembered.
        embedder: of the memories.
        folder: of stores; made if missing.
    """
    path = folder / f"{slug(dialogue.id)}.sqlite"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{path.stem}.lock"):
        if not path.exists():
            _remember(dialogue, keeper, embedder, path)
    return path


def _remember(dialogue: Dialogue, keeper: Keeper, embedder: Embedder, path: Path) -> None:
    part = path.with_suffix(".part")
    for left in path.parent.glob(f"{part.name}*"):
        left.unlink()
    with Store.open(part, embedder=embedder, keeper=keeper) as store:
        for session in dialogue.sessions:
            store.remember(session.turns, at=session.at, who=dialogue.id)
    # Closed, the store is this one file: SQLite has put its log into it.
    os.replace(part, path)
