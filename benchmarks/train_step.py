"""A LoRA text step at Qwen2.5-0.5B's shape: ours beside what else is used, in one run.

    python benchmarks/train_step.py --peers PYTHON

Random weights, float32, rank 8 on all linear layers, one row, AdamW, two threads. Each way runs in
its own process, by turns, on the same weights and tokens; PYTHON is an interpreter that has the
peers (`pip install torch transformers peft trl`). The first losses must agree: the same function
is computed. Times are processor seconds a step.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import tyro
from memory import SHAPES

from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model

HERE = Path(__file__).parent / "peers"
WAYS = {
    "duomem_jax": "ours.py",
    "transformers + PEFT": "transformers_peft.py",
    "TRL SFTTrainer": "trl_sft.py",
}


def random_model(folder: str, layers: int) -> None:
    """A model of Qwen2.5-0.5B's shape."""
    config = dataclasses.replace(SHAPES["qwen2.5-0.5b"], n_layers=layers, max_len=32_768)
    rng = np.random.default_rng(0)
    shapes = Model(config).shapes()["params"]

    def draw(path: tuple, x: object) -> np.ndarray:
        noise = 0.02 * rng.standard_normal(x.shape, np.float32)
        return noise + 1 if path[-1].key == "scale" else noise

    save_pretrained(folder, config, jax.tree_util.tree_map_with_path(draw, shapes))


def run(python: str, script: str, *args: object) -> dict[str, float]:
    """What one way measured, in a process of its own."""
    command = [python, str(HERE / script), *map(str, args)]
    env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(Path.cwd())}
    out = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def main(
    peers: str = sys.executable,
    length: int = 512,
    steps: int = 3,
    share: float = 1.0,
    layers: int = 24,
    rounds: int = 2,
    only: tuple[str, ...] = (),
) -> None:
    """Print a table.

    Args:
        peers: the interpreter that has the peers.
        length: tokens of the row.
        steps: timed steps of each process.
        share: share of the tokens that carry loss.
        layers: fewer than 24 for a quick look.
        rounds: processes of each way; the fastest counts.
        only: names of the ways; all if none is given.
    """
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        random_model(folder, layers)
        for _ in range(rounds):
            for name in only or WAYS:
                python = sys.executable if name == "duomem_jax" else peers
                command = [
                    python,
                    str(HERE / WAYS[name]),
                    folder,
                    *map(str, (length, steps, share)),
                ]
                env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(Path.cwd())}
                out = subprocess.run(
                    command, env=env, stdout=subprocess.PIPE, text=True, check=True
                )
                row = json.loads(out.stdout.splitlines()[-1])
                print(name, row, file=sys.stderr, flush=True)
                if name not in found or row["cpu s"] < found[name]["cpu s"]:
                    found[name] = row
    ours = found.get("duomem_jax", next(iter(found.values())))
    print("| way | CPU s a step | times ours | tokens / wall s | peak MiB | first loss |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        print(
            f"| {name} | {row['cpu s']:.2f} | {row['cpu s'] / ours['cpu s']:.2f} | "
            f"{length / row['wall s']:.1f} | {row['peak MiB']:,.0f} | {row['first loss']:.4f} |"
        )


if __name__ == "__main__":
    tyro.cli(main)
