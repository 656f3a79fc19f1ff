"""Rows, heads and teachers of a few numbers."""

import numpy as np
import pytest

from duomem_jax.objectives import Tokens

B, T, D, V = 3, 50, 16, 37


@pytest.fixture(scope="session")
def rows():
    """Packed rows with replies here and there; the second has none."""
    rng = np.random.default_rng(0)
    segments = np.sort(rng.integers(1, 4, (B, T)), axis=1)
    mask = (rng.random((B, T)) < 0.4).astype(np.int32)
    mask[:, 0] = 0
    mask[:, 1:] &= segments[:, 1:] == segments[:, :-1]
    mask[1] = 0
    ids = rng.integers(0, V, (B, T)).astype(np.int32)
    return Tokens(ids, segments.astype(np.int32), np.zeros_like(ids), mask > 0)


@pytest.fixture(scope="session")
def student():
    """(x_BTD, head_DV)."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(B, T, D)).astype(np.float32), rng.normal(size=(D, V)).astype(np.float32)


@pytest.fixture(scope="session")
def teacher():
    """(x_BTE, head_EV) of another width."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(B, T, 9)).astype(np.float32), rng.normal(size=(9, V)).astype(np.float32)
