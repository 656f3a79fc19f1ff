"""Packed rows of counting sequences, of T tokens: learnable, so that a loss must fall."""

import numpy as np

T = 32


def make_rows(n):
    """`n` of them, always the same."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        cut = int(rng.integers(8, T - 8))
        tokens = np.concatenate([np.arange(cut) + rng.integers(64), np.arange(T - cut)]) % 64
        segments = np.repeat([1, 2], [cut, T - cut])
        mask = rng.random(T) < 0.5
        yield {
            "tokens": tokens.astype(np.int32),
            "segment_ids": segments.astype(np.uint8),
            "loss_mask": mask.astype(np.uint8),
        }
