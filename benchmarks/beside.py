"""What the benchmarks beside peers share.

Random weights of Qwen2.5-0.5B's shape (rank 8 on all linear layers where an adapter is trained, one
row, AdamW), two threads. Each way runs in its own process, by turns, on the same weights and
tokens; the fastest of its processes counts. The machine's limits are measured in the same run.
"""

import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from memory import SHAPES

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model

HERE = Path(__file__).parent / "peers"
OURS = "duomem_jax"
RANK = 8  # of the adapters in every way to train


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What is trained for how long, and with which peers."""

    peers: str = ""  # an interpreter that has torch, transformers, peft, trl and datasets
    tunix: str = ""  # an interpreter that has google-tunix
    length: int = 512  # tokens of the row
    steps: int = 3  # timed steps of each process
    share: float = 1.0  # share of the tokens that carry loss
    layers: int = 24  # fewer than 24 for a quick look
    rounds: int = 2  # processes of each way; the fastest counts


class Way(NamedTuple):
    """One way to do what is measured, as a script that runs in its own process."""

    name: str
    python: str  # an interpreter that has what the script imports; empty: the way is omitted
    script: str  # in `peers`
    options: tuple[str, ...] = ()


def random_model(folder: str, layers: int, seed: int = 0) -> ModelConfig:
    """Write a model of Qwen2.5-0.5B's shape, in a process that gives its memory back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_write_model, folder, layers, seed).result()


def _write_model(folder: str, layers: int, seed: int) -> ModelConfig:
    config = dataclasses.replace(SHAPES["qwen2.5-0.5b"], n_layers=layers, max_len=32_768)
    rng = np.random.default_rng(seed)
    shapes = Model(config).shapes()["params"]

    def draw(path: tuple, x: Any) -> np.ndarray:
        noise = 0.02 * rng.standard_normal(x.shape, np.float32)
        return noise + 1 if path[-1].key == "scale" else noise

    save_pretrained(folder, config, jax.tree_util.tree_map_with_path(draw, shapes))
    return config


def measure(ways: Iterable[Way], rounds: int, *args: object) -> dict[str, dict[str, Any]]:
    """The fastest of some processes of each way, which take turns.

    Args:
        ways: those without an interpreter are omitted.
        rounds: processes of each way.
        args: of every script.

    Returns:
        What the script of each way printed, by the way's name.
    """
    found: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for way in ways:
            if not way.python:
                continue
            row = _run(way.python, way.script, *args, *way.options)
            print(way.name, row, file=sys.stderr, flush=True)
            speed = next(key for key in row if key.startswith("cpu s"))
            if way.name not in found or row[speed] < found[way.name][speed]:
                found[way.name] = row
    return found


def _run(python: str, script: str, *args: object) -> dict[str, Any]:
    command = [python, str(HERE / script), *map(str, args)]
    root = str(Path(__file__).parent.parent)
    env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": root, "JAX_PLATFORMS": "cpu"}
    out = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return next(json.loads(x) for x in reversed(out.stdout.splitlines()) if x.startswith('{"'))


def _best(call: Callable[[], jax.Array]) -> float:
    """Seconds that the fastest of ten calls takes, compiled before."""
    call().block_until_ready()
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        call().block_until_ready()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bandwidth() -> float:
    """Bytes a second of a matrix of half a gigabyte times a vector, as this machine's limit."""
    w_FD, x_D = jnp.ones((150_000, 896)), jnp.ones(896)
    product = jax.jit(jnp.matmul)
    return w_FD.nbytes / _best(lambda: product(w_FD, x_D))
