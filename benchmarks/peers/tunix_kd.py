"""Tunix's DistillationTrainer on logits, with a qwix adapter; options: teacher, its top k or 0."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from measure import arguments, report, sequence
from tunix.distillation.distillation_trainer import (
    DistillationTrainer,
    TrainingConfig,
    TrainingInput,
)
from tunix.distillation.strategies.logit import LogitStrategy
from tunix_qwen2 import load
from tunix_train import one_step, with_adapter

folder, length, steps, share, _ = arguments()
teacher, model = load(sys.argv[6]), with_adapter(folder)
tokens, learnt = sequence(length, share, model.config.vocab_size)
batch = TrainingInput(input_tokens=tokens.astype(np.int32), input_mask=learnt)


def logits(model: nnx.Module, **inputs: jax.Array) -> jax.Array:
    """Of all tokens, [B,T,V]."""
    return model(inputs["input_tokens"], inputs["positions"], None, inputs["attention_mask"])[0]


def labels(**inputs: jax.Array) -> jax.Array:
    """One-hot next tokens, which the strategy wants."""
    return jax.nn.one_hot(jnp.roll(inputs["input_tokens"], -1, 1), model.config.vocab_size)


trainer = DistillationTrainer(
    model,
    teacher,
    LogitStrategy(logits, logits, labels, 1.0, 1.0, distill_top_k=int(sys.argv[7])),
    optax.adamw(1e-4),
    TrainingConfig(eval_every_n_steps=1_000_000),
)
report(one_step(trainer, batch), steps)
