"""What a loss needs beside its inputs, by XLA's own analysis, forward and backward."""

import jax
import jax.numpy as jnp
import pytest

from duomem_jax.data.rows import RowFormat, TargetFormat
from duomem_jax.objectives import (
    LiveTargets,
    ObjectiveConfig,
    States,
    StoredTargets,
    TextTargets,
)

D, K = 64, 64
QWEN = 151_936  # words


def temporaries(kind, length, vocab):
    """Bytes for one row of `length` tokens, gradients by hidden states and not by the head."""
    config = ObjectiveConfig("text" if kind == "text" else "forward_kl", ce_weight=0.5)

    targets = {
        "text": TextTargets(),
        "live": LiveTargets(config),
        "stored": StoredTargets(config),
    }[kind]
    form = TargetFormat(length, K, vocab, "topk") if kind == "stored" else None
    batch = RowFormat(length, targets=form).shapes(1)
    heads = [jax.ShapeDtypeStruct((D, vocab), jnp.float32)] * 2

    def loss(x, y, batch, head, teacher_head):
        teacher = States(y, lambda y: y @ teacher_head) if kind == "live" else None
        return targets.loss(States(x, lambda x: x @ head), batch, teacher).total

    states = jax.ShapeDtypeStruct((1, length, D), jnp.float32)
    lowered = jax.jit(jax.grad(loss)).lower(states, states, batch, *heads)
    return lowered.compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("kind", ["text", "live", "stored"])
def test_memory_follows_neither_length_nor_vocabulary(kind):
    large = temporaries(kind, 4096, QWEN)
    shorter, wider = temporaries(kind, 1024, QWEN), temporaries(kind, 4096, 2 * QWEN)
    rows = 3 * 4096 * (2 * D + 3 * K) * 4  # states and targets moved to the front, gradients
    assert large < 1.1 * shorter + rows
    assert wider < 1.1 * large
    # Neither all logits nor a copy of the head for each chunk.
    assert large < 4096 * QWEN * 4 / 5
