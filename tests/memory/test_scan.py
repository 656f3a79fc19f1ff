"""The nearest of many vectors: sketched ones against a full product."""

import numpy as np
import pytest

from duomem_jax.memory.retrieve import scan
from duomem_jax.memory.retrieve.scan import Scan

E = 96


@pytest.fixture
def vectors():
    # As texts are: most of what tells them apart lies in few directions.
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((30_000, E)) * np.arange(1, E + 1) ** -0.7 + 0.05
    rows = spread @ np.linalg.qr(rng.standard_normal((E, E)))[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def check(near, vectors, query, limit, share):
    exact = vectors @ query
    np.testing.assert_allclose(near.cosines_M, exact[near.rows_M], atol=1e-6)
    best = np.argsort(-exact)[:limit]
    assert np.isin(best, near.rows_M).mean() >= share
    assert near.mean == pytest.approx(exact.mean(), abs=0.01)
    assert near.deviation == pytest.approx(exact.std(), rel=0.05)
    assert list(near.rows_M) == sorted(set(near.rows_M.tolist()))


def test_few_are_compared_exactly(vectors):
    few = vectors[: scan.EXACT]
    check(Scan().near(few, few[7], 20), few, few[7], 20, 1)


def test_many_are_sketched_and_the_best_are_found(vectors):
    search = Scan()
    for i in range(0, 1000, 100):
        check(search.near(vectors, vectors[i], 20), vectors, vectors[i], 20, 0.95)


def test_wanted_rows_are_there(vectors):
    far = np.argsort(vectors @ vectors[0])[:5]
    near = Scan().near(vectors, vectors[0], 3, far)
    assert set(far) <= set(near.rows_M)
    assert len(near.rows_M) == 8


def test_a_sketch_grows_with_its_vectors_and_is_not_kept_for_others(vectors):
    search, count = Scan(), 20_000
    search.near(vectors[:count], vectors[0], 5)
    first = search._sketch
    # New ones behind the known: only they are sketched.
    near = search.near(vectors[: count + 100], vectors[count + 50], 1)
    assert search._sketch.directions_EP is first.directions_EP
    assert list(near.rows_M) == [count + 50]
    assert search.near(vectors[: count + 100], vectors[0], 5) is not None
    # Other vectors of the same number.
    turned = np.ascontiguousarray(vectors[:count][::-1])
    near = search.near(turned, vectors[0], 1)
    assert list(near.rows_M) == [count - 1]


def test_nothing_to_look_through():
    near = Scan().near(np.zeros((0, 4), np.float32), np.ones(4, np.float32), 3)
    assert len(near.rows_M) == 0
