"""What a step needs beside its weights, by XLA's own analysis."""

import functools

import jax

from duomem_jax.data.rows import RowFormat
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import new_state
from duomem_jax.train.state.step import Frozen, Learner, train_step


def temporaries(length):
    """Bytes, for one row of `length` tokens."""
    model = Model(ModelConfig("qwen3", 512, 64, 2, 4, 2, 16, 128), LoraConfig(rank=4, alpha=8.0))
    shapes, tx = model.shapes(), make_optimizer(OptimizerConfig(), 10)
    state = jax.eval_shape(functools.partial(new_state, tx), shapes["lora"])
    batch = RowFormat(length).shapes(1)
    step = jax.jit(functools.partial(train_step, Learner(model, tx)), donate_argnums=0)
    compiled = step.lower(state, Frozen(shapes["params"]), batch).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_memory_grows_with_the_length_of_a_row_not_with_its_square():
    short, middle, long = map(temporaries, (1024, 4096, 16_384))
    assert 3.5 < long / middle < 4.2
    assert 3 < middle / short < 4.2
    assert long < 4 * 16_384**2  # no head's float32 scores
