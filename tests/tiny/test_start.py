"""The untrained tiny models: what their embeddings know before training."""

import numpy as np

from duomem_jax.tiny.start import STD, compose

TOKENS = [" mug 1", " mug 2", " mug", "mug", " apple 2", " apple", " see", " 2"]


def test_compose_sums_kind_and_number():
    fresh = np.random.default_rng(0).normal(0, STD, (len(TOKENS), 256))
    row = dict(zip(TOKENS, compose(fresh, TOKENS, seed=1), strict=True))
    np.testing.assert_allclose(row[" mug 2"] - row[" mug"], row[" apple 2"] - row[" apple"])
    np.testing.assert_array_equal(row["mug"], row[" mug"])
    for plain in (" see", " 2"):
        np.testing.assert_array_equal(row[plain], fresh[TOKENS.index(plain)])


def test_compose_keeps_the_size_of_embeddings():
    tokens = [f" thing{c} {i}" for c in "abcdefgh" for i in range(1, 9)]
    fresh = np.random.default_rng(0).normal(0, STD, (len(tokens), 256))
    assert abs(compose(fresh, tokens, seed=0).std() / STD - 1) < 0.1
