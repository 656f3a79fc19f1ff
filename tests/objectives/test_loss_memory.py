"""What a loss needs beside its inputs, by XLA's own analysis, forward and backward."""

import jax
import jax.numpy as jnp
import pytest

from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.loss import Teacher, loss_of

D, K = 64, 64
QWEN = 151_936  # words


def temporaries(kind, length, vocab):
    """Bytes for one row of `length` tokens, gradients by hidden states and not by the head."""
    config = ObjectiveConfig("text" if kind == "text" else "forward_kl", ce_weight=0.5)

    def shape(*sizes, dtype=jnp.float32):
        return jax.ShapeDtypeStruct((1, *sizes), dtype)

    names = ("tokens", "segment_ids", "loss_mask")
    batch = dict.fromkeys(names, shape(length, dtype=jnp.int32))
    if kind == "stored":
        batch |= {
            "target_ids": shape(length, K, dtype=jnp.int32),
            "target_log_probs": shape(length, K, dtype=jnp.float16),
            "target_rest": shape(length, dtype=jnp.float16),
            "target_mask": shape(length, dtype=jnp.uint8),
        }
    heads = [jax.ShapeDtypeStruct((D, vocab), jnp.float32)] * 2

    def loss(x, y, batch, head, teacher_head):
        teacher = Teacher(y, lambda y: y @ teacher_head, "") if kind == "live" else None
        return loss_of(config, x, lambda x: x @ head, batch, teacher)[0]

    states = shape(length, D)
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
