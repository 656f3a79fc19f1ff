"""The stores that assistants are asked from, one for each dialogue."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from duomem_jax.base.io import slug
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.store.keeper import Keeper
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.teach.tell import tell_facts, tell_turns
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.worlds.dialogues import teacher


def remembered(
    dialogue: Dialogue,
    keeper: Keeper,
    embedder: Embedder,
    folder: Path,
    pictures: PictureFolder | None = None,
) -> Path:
    """The file of what a keeper remembers of a dialogue that it is told session by session.

    Args:
        dialogue: what is told.
        keeper: decides what is remembered.
        embedder: of the memories.
        folder: of stores; made if missing.
        pictures: that are shared in it; None: words alone are told.
    """

    def write(part: Path) -> None:
        with Store.open(part, embedder=embedder, keeper=keeper) as store:
            tell_turns(store, dialogue, pictures)

    return _written(dialogue, folder, write)


def known(
    dialogue: Dialogue, embedder: Embedder, folder: Path, pictures: PictureFolder | None = None
) -> Path:
    """The file of what a teacher would remember: all facts that still hold at the end.

    Args:
        dialogue: with its facts.
        embedder: of the memories.
        folder: of stores; made if missing.
        pictures: as in `remembered`.
    """

    def write(part: Path) -> None:
        with Store.open(part, embedder=embedder) as store:
            tell_facts(store, dialogue, teacher.remembered(dialogue), pictures)

    return _written(dialogue, folder, write)


def _written(dialogue: Dialogue, folder: Path, write: Callable[[Path], None]) -> Path:
    """The file of a dialogue, written where it is not there.

    It is there whole or not at all: a killed run begins a dialogue again. Who asks for what
    another process is writing waits for it.
    """
    path = folder / f"{slug(dialogue.id)}.sqlite"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{path.stem}.lock"):
        if not path.exists():
            part = path.with_suffix(".part")
            for left in path.parent.glob(f"{part.name}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            write(part)
            shown, place = (PictureFolder.beside(file).folder for file in (part, path))
            # Left by a run that was killed between the two moves below.
            shutil.rmtree(place, ignore_errors=True)
            if shown.exists():
                os.replace(shown, place)
            # Closed, the store is this one file: SQLite has put its log into it.
            os.replace(part, path)
    return path
