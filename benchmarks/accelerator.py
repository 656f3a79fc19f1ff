"""The train step and the decode step on the accelerator that is here, at the shape of real models.

    python benchmarks/accelerator.py --models qwen2.5-0.5b qwen3-4b

Random weights in bfloat16, made on the device; packed rows of one segment, all tokens carry loss,
rank 16 on all linear layers, AdamW, layers recomputed. Work is that of the products, each counted
once (`models.flops`); the peaks are measured here, by a large product and a large sum. There is
no peer beside it: it says how far the device is from its own limits.
"""

import dataclasses
import functools
import time
from typing import Any, Literal

import jax
import jax.numpy as jnp
import tyro
from memory import SHAPES

from duomem_jax.aot.steps import decode_step
from duomem_jax.models.flops import Load, train_flops
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.trees import for_decoding
from duomem_jax.objectives import (
    Batch,
    ObjectiveConfig,
    Stored,
    StoredTargets,
    TextTargets,
    Tokens,
)
from duomem_jax.report.table import markdown_table
from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import new_state
from duomem_jax.train.state.step import Frozen, Learner, train_step

CANDIDATES = 32


def seconds(function: Any, repeat: int) -> float:
    """Seconds of one call, once it is compiled; the mean of `repeat` calls."""
    jax.block_until_ready(function())
    start = time.perf_counter()
    for _ in range(repeat):
        out = function()
    jax.block_until_ready(out)
    return (time.perf_counter() - start) / repeat


def peaks() -> tuple[float, float]:
    """(bfloat16 FLOP/s of a product of 8192 cubed, bytes/s of a sum over 2 GiB)."""
    x = jax.random.normal(jax.random.key(0), (8192, 8192), jnp.bfloat16)
    product = jax.jit(lambda x: x @ x)
    y = jnp.ones((2**30,), jnp.bfloat16)
    total = jax.jit(lambda y: jnp.sum(y.astype(jnp.float32)))
    return 2 * 8192**3 / seconds(lambda: product(x), 20), 2**31 / seconds(lambda: total(y), 10)


def random_weights(model: Model) -> Any:
    """Parameters in bfloat16, on the device."""

    @jax.jit
    def make() -> Any:
        leaves, tree = jax.tree.flatten(model.shapes()["params"])
        keys = jax.random.split(jax.random.key(0), len(leaves))
        made = [  # of the norms, too: speed does not depend on values
            0.02 * jax.random.normal(k, x.shape, jnp.bfloat16)
            for k, x in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, made)

    return make()


def rows(shape: tuple[int, int], vocab: int, candidates: int) -> Batch:
    """A batch as the loader gives it; `shape` is (B, T), and `candidates` 0 for none."""
    B, T = shape
    key = jax.random.key(1)
    stored = None
    if candidates:
        wide = (B, T - 1, candidates)
        stored = Stored(
            ids_BAC=jax.random.randint(key, wide, 0, vocab),
            log_probs_BAC=jnp.full(wide, -5.0, jnp.float16),
            mask_BA=jnp.ones(wide[:2], bool),
            rest_BA=jnp.full(wide[:2], -0.3, jnp.float16),
        )
    student = Tokens(
        ids_BT=jax.random.randint(key, shape, 0, vocab),
        segments_BT=jnp.ones(shape, jnp.int32),
        positions_BT=jnp.tile(jnp.arange(T), (B, 1)),
        reply_BT=jnp.ones(shape, bool),
    )
    return Batch(student, stored=stored)


def train(model: Model, weights: Any, shape: tuple[int, int], stored: bool, steps: int) -> dict:
    """Train for some steps of one kind.

    Returns:
        Seconds to compile and a step, MiB of temporaries, the first and the last loss.
    """
    tx = make_optimizer(OptimizerConfig(learning_rate=1e-4), 100)
    targets = StoredTargets(ObjectiveConfig("forward_kl")) if stored else TextTargets()
    step = jax.jit(functools.partial(train_step, Learner(model, tx, targets)), donate_argnums=0)
    state = new_state(tx, model.init_lora(jax.random.key(0)))
    batch = rows(shape, model.config.vocab_size, CANDIDATES if stored else 0)
    start = time.perf_counter()
    compiled = step.lower(state, Frozen(weights), batch).compile()
    compile_s = time.perf_counter() - start
    losses = []

    def once() -> Any:
        nonlocal state
        state, metrics = compiled(state, Frozen(weights), batch)
        losses.append(metrics["loss"])
        return state

    step_s = seconds(once, steps)
    first, last = (float(x[0]) / float(x[1]) for x in (losses[0], losses[-1]))
    memory = compiled.memory_analysis()
    assert memory is not None  # CPUs and GPUs say it
    temporary = memory.temp_size_in_bytes / 2**20
    return {"compile": compile_s, "step": step_s, "temp": temporary, "first": first, "last": last}


def decode(model: Model, weights: Any, batch: int, length: int, steps: int) -> float:
    """Seconds of one new token in each of `batch` rows, the caches half full."""
    weights = jax.jit(for_decoding)(weights)
    cache = model.init_cache(batch, length)
    step = jax.jit(functools.partial(decode_step, model), donate_argnums=2)
    prompt = jnp.ones((batch, length // 2), jnp.int32)
    full = jnp.full(batch, length // 2, jnp.int32)
    _, cache = jax.jit(model.extend, donate_argnums=1)(weights, cache, prompt, full)
    token = jnp.ones(batch, jnp.int32)

    def once() -> Any:
        nonlocal cache, token
        token, cache = step(weights, None, cache, token[:, None])
        return token

    return seconds(once, steps)


def main(
    models: tuple[Literal["qwen2.5-0.5b", "qwen3-4b"], ...] = ("qwen2.5-0.5b",),
    length: int = 4096,
    batches: tuple[int, ...] = (1, 4),
    decode_batches: tuple[int, ...] = (1, 8, 64),
    layers: int = 0,
    steps: int = 5,
) -> None:
    """Print two tables.

    Args:
        models: shapes.
        length: tokens of a row.
        batches: rows of a train step.
        decode_batches: rows of a decode step.
        layers: fewer than the model's, for a quick look; 0: all.
        steps: timed.
    """
    device = jax.devices()[0]
    rate, bandwidth = peaks()
    print(
        f"{device.device_kind}, JAX {jax.__version__}: {rate / 1e12:.0f} TFLOP/s, "
        f"{bandwidth / 1e9:,.0f} GB/s\n",
        flush=True,
    )
    trained, decoded = [], []
    for name in models:
        shape = dataclasses.replace(SHAPES[name], dtype="bfloat16", max_len=length)
        shape = dataclasses.replace(shape, n_layers=layers or shape.n_layers)
        model = Model(shape, LoraConfig(rank=16, alpha=32.0), remat=True)
        weights = random_weights(model)
        size = sum(x.nbytes for x in jax.tree.leaves(weights))
        for kind, rows_a_step in [("text", b) for b in batches] + [("stored", batches[-1])]:
            found = train(model, weights, (rows_a_step, length), kind == "stored", steps)
            tokens = rows_a_step * length
            pairs = shape.n_layers * length * (length + 1) / 2
            needed = train_flops(model, Load(length, pairs, length))
            reached = needed * rows_a_step / found["step"]
            trained.append(
                (
                    name,
                    kind,
                    f"{rows_a_step}",
                    f"{found['compile']:.0f}",
                    f"{1e3 * found['step']:.0f}",
                    f"{tokens / found['step']:,.0f}",
                    f"{reached / 1e12:.0f}",
                    f"{reached / rate:.0%}",
                    f"{found['temp']:,.0f}",
                    f"{found['first']:.3f} {found['last']:.3f}",
                )
            )
            print(trained[-1], flush=True)
        for b in decode_batches:
            step_s = decode(model, weights, b, 1024, 20)
            share = size / step_s / bandwidth
            decoded.append(
                (name, f"{b}", f"{1e3 * step_s:.2f}", f"{b / step_s:,.0f}", f"{share:.0%}")
            )
            print(decoded[-1], flush=True)
        del weights
    speed = "shape", "step", "rows", "compile s", "ms", "tokens/s", "TFLOP/s", "of the peak"
    print("\n" + markdown_table((*speed, "temporaries MiB", "loss, first and last"), trained))
    head = "shape", "rows", "ms a token", "tokens/s", "weights read, of the bandwidth"
    print("\n" + markdown_table(head, decoded))


if __name__ == "__main__":
    tyro.cli(main)
