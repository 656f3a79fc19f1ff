"""A store on a clock that stands still, and what is done to it."""

from datetime import UTC, datetime

import pytest

from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def opened(tmp_path):
    """Opens a store by name; all are closed at the end."""
    stores = []

    def open_store(name="store.sqlite", **options):
        options.setdefault("clock", lambda: NOON)
        stores.append(Store.open(tmp_path / name, **options))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def put(store):
    """Applies operations of one owner; gives the status of each."""

    def apply(*operations, owner="ann", happened="2024-01-01T00:00:00Z", into=None):
        origin = Origin("test", owner, happened=happened)
        return [a.status for a in (into or store).apply(operations, origin)]

    return apply
