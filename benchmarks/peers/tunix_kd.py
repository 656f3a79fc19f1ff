"""Tunix's DistillationTrainer on logits, with a qwix adapter; options: teacher, its top k or 0."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import qwix
from flax import nnx
from measure import arguments, report, sequence
from tunix.distillation.distillation_trainer import (
    DistillationTrainer,
    TrainingConfig,
    TrainingInput,
)
from tunix.distillation.strategies.logit import LogitStrategy
from tunix.sft import utils
from tunix_qwen2 import load

LINEAR = ".*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"

folder, length, steps, share, _ = arguments()
teacher, model = load(sys.argv[6]), load(folder)
lora = qwix.LoraProvider(module_path=LINEAR, rank=8, alpha=16.0)
model = qwix.apply_lora_to_model(model, lora, **model.get_model_input(), rngs=nnx.Rngs(0))
tokens, learnt = sequence(length, share, model.config.vocab_size)
batch = TrainingInput(input_tokens=tokens.astype(np.int32), input_mask=learnt)


def model_input(row: TrainingInput) -> dict:
    """What the models take; no token is padding."""
    real = row.input_tokens >= 0
    return {
        "input_tokens": row.input_tokens,
        "input_mask": row.input_mask,
        "positions": utils.build_positions_from_mask(real),
        "attention_mask": utils.make_causal_attn_mask(real),
    }


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
for part in (model, trainer.optimizer):  # else the second step compiles again
    nnx.update(part, jax.device_put(nnx.state(part), jax.devices()[0]))
trainer.with_gen_model_input_fn(model_input)
trainer.is_managed_externally = True  # so `train` can be called again


def step() -> float:
    """One update."""
    trainer.train([batch])
    return float(trainer._prev_buffered_train_metrics.loss)  # the logger has it one step later


report(step, steps)
