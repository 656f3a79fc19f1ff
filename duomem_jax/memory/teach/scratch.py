"""A store for the time of one piece of work."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.store.keeper import Keeper
from duomem_jax.memory.store.store import Store


@contextlib.contextmanager
def scratch_store(embedder: Embedder, keeper: Keeper | None = None) -> Iterator[Store]:
    """An empty store whose file is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="duomem-") as folder,
        Store.open(Path(folder) / "memories.sqlite", embedder=embedder, keeper=keeper) as store,
    ):
        yield store
