"""A LoRA text step at Qwen2.5-0.5B's shape: ours beside what else is used, in one run.

    python benchmarks/train_step.py --peers PYTHON --tunix PYTHON

Random weights, rank 8 on all linear layers, one row, AdamW, two threads. Each way runs in its own
process, by turns, on the same weights and tokens. The first losses must agree: the same function
is computed. The machine's peak is that of a 2048-cubed product; the step's FLOPs are those of its
matrix products, each counted once (a causal score counts, a masked one does not).
"""

import sys
import tempfile
from typing import Literal

import tyro
from beside import OURS, Way, matmul_peak, measure, random_model

from duomem_jax.models.config import ModelConfig
from duomem_jax.report.table import markdown_table

RANK = 8


def flops(c: ModelConfig, length: int, share: float) -> float:
    """Of one step: forward, and backward by activations and adapters; the base has no gradient."""
    q, kv = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
    kernels = [(c.d_model, q), (c.d_model, kv), (c.d_model, kv), (q, c.d_model)]
    kernels += [(c.d_model, c.d_ff), (c.d_model, c.d_ff), (c.d_ff, c.d_model)]
    frozen = 4 * sum(i * o for i, o in kernels)
    adapters = 6 * RANK * sum(i + o for i, o in kernels)
    attention = 2 * 7 * q * length / 2  # two products forward, five backward
    head = 4 * c.d_model * c.vocab_size * share
    return length * (c.n_layers * (frozen + adapters + attention) + head)


def main(
    peers: str = "",
    tunix: str = "",
    length: int = 512,
    steps: int = 3,
    share: float = 1.0,
    layers: int = 24,
    rounds: int = 2,
    dtype: Literal["float32", "bfloat16"] = "float32",
) -> None:
    """Print a table.

    Args:
        peers: an interpreter that has torch, transformers, peft, trl and datasets.
        tunix: an interpreter that has google-tunix.
        length: tokens of the row.
        steps: timed steps of each process.
        share: share of the tokens that carry loss.
        layers: fewer than 24 for a quick look.
        rounds: processes of each way; the fastest counts.
        dtype: of weights and activations; in bfloat16 only ours and transformers + PEFT run.
    """
    ways = [
        Way(OURS, sys.executable, "ours.py"),
        Way("transformers + PEFT", peers, "transformers_peft.py"),
    ]
    if dtype == "float32":
        ways += [Way("TRL SFTTrainer", peers, "trl_sft.py"), Way("Tunix", tunix, "tunix_sft.py")]
    with tempfile.TemporaryDirectory() as folder:
        config = random_model(folder, layers)
        found = measure(ways, rounds, folder, length, steps, share, dtype)
    ours, work = found[OURS], flops(config, length, share)
    print(
        f"{work / 1e9:.0f} GFLOP a step; matrix products: {matmul_peak(dtype) / 1e9:.0f} GFLOP/s\n"
    )
    head = (
        "way",
        "CPU s a step",
        "times ours",
        "tokens / wall s",
        "GFLOP/s",
        "peak MiB",
        "first loss",
    )
    rows = [
        (
            name,
            f"{row['cpu s']:.2f}",
            f"{row['cpu s'] / ours['cpu s']:.2f}",
            f"{length / row['wall s']:.0f}",
            f"{work / row['wall s'] / 1e9:.0f}",
            f"{row['peak MiB']:,.0f}",
            f"{row['first loss']:.4f}",
        )
        for name, row in found.items()
    ]
    print(markdown_table(head, rows))


if __name__ == "__main__":
    tyro.cli(main)
