"""Memory of a LoRA training step by the length of its rows, from XLA's own analysis.

    python benchmarks/memory.py --model qwen2.5-0.5b --lengths 1024 4096 16384

Nothing is computed or allocated: the step is compiled for the shapes of the model, one row, on
this machine's device. `temporaries` is what the step needs beside weights, adapter and optimizer.
"""

import dataclasses
import functools
import json
from typing import Literal

import jax
import jax.numpy as jnp
import tyro

from duomem_jax.data.rows import RowFormat
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, use_mesh
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import new_state
from duomem_jax.train.state.step import Frozen, Learner, train_step

QWEN2 = functools.partial(ModelConfig, "qwen2", 151_936, qk_norm=False, attn_bias=True)
QWEN3 = functools.partial(ModelConfig, "qwen3", 151_936)
SHAPES = {  # D, L, N, K, H, F
    "qwen2.5-0.5b": QWEN2(896, 24, 14, 2, 64, 4864),
    "qwen3-4b": QWEN3(2560, 36, 32, 8, 128, 9728),
}


def analyse(shape: ModelConfig, length: int, remat: bool, dtype: str) -> dict[str, float]:
    """MiB of one step on one row of `length` tokens."""
    model = Model(shape, LoraConfig(rank=8, alpha=16.0), remat)
    shapes = model.shapes()
    kind = jnp.dtype(dtype)
    base = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, kind), shapes["params"])
    tx = make_optimizer(OptimizerConfig(), 100)
    state = jax.eval_shape(functools.partial(new_state, tx), shapes["lora"])
    step = jax.jit(functools.partial(train_step, Learner(model, tx)), donate_argnums=0)
    found = step.lower(state, Frozen(base), RowFormat(length).shapes(1)).compile().memory_analysis()
    assert found is not None  # CPUs say it
    return {
        "weights": round(sum(x.size * kind.itemsize for x in jax.tree.leaves(base)) / 2**20),
        "temporaries": round(found.temp_size_in_bytes / 2**20, 1),
    }


def main(
    model: Literal["qwen2.5-0.5b", "qwen3-4b"] = "qwen2.5-0.5b",
    lengths: tuple[int, ...] = (1024, 4096, 16384),
    remat: bool = True,
    dtype: Literal["float32", "bfloat16"] = "float32",
) -> None:
    """Print MiB for each length.

    Args:
        model: whose shape.
        lengths: tokens of the row.
        remat: recompute each layer in the backward pass.
        dtype: of the weights and activations.
    """
    mesh = make_mesh(MeshConfig(data=1), 1)
    shape = dataclasses.replace(SHAPES[model], dtype=dtype, max_len=max(lengths))
    with use_mesh(mesh):
        for length in lengths:
            found = analyse(shape, length, remat, dtype)
            per_token = found["temporaries"] / length * 1024
            line = {"T": length, **found, "KiB a token": round(per_token, 1)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    tyro.cli(main)
