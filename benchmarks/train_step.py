"""A LoRA text step at Qwen2.5-0.5B's shape: ours beside what else is used, in one run.

    python benchmarks/train_step.py --peers PYTHON --tunix PYTHON

What all ways have in common is in `beside.py`. The first losses must agree: the same function is
computed. The machine's peak is that of a 2048-cubed product; the step's FLOPs are those of its
matrix products (a causal score counts, a masked one does not), as `flops` counts them.
"""

import sys
import tempfile
from typing import Literal

import tyro
from beside import OURS, RANK, TrainOptions, Way, measure, random_model

from duomem_jax.aot.here import product_speed
from duomem_jax.models.config import ModelConfig
from duomem_jax.report.table import markdown_table


def flops(c: ModelConfig, length: int, share: float) -> float:
    """Operations of one step: forward, and backward through activations and adapters.

    Unlike `duomem_jax.models.flops`, which counts nothing that is computed twice, this counts the
    product of queries and keys that attention computes again in its backward pass: seven products
    instead of six, since every way that is compared here computes them.
    """
    q = c.n_heads * c.head_dim
    kv = c.n_kv_heads * c.head_dim
    kernels = [(c.d_model, q), (c.d_model, kv), (c.d_model, kv), (q, c.d_model)]
    kernels += [(c.d_model, c.d_ff), (c.d_model, c.d_ff), (c.d_ff, c.d_model)]
    frozen = 4 * sum(i * o for i, o in kernels)  # the base has no gradient of its own
    adapters = 6 * RANK * sum(i + o for i, o in kernels)
    attention = 2 * 7 * q * length / 2  # two products forward, five backward
    head = 4 * c.d_model * c.vocab_size * share
    return length * (c.n_layers * (frozen + adapters + attention) + head)


def main(
    how: TrainOptions,
    dtype: Literal["float32", "bfloat16"] = "float32",
) -> None:
    """Print a table.

    Args:
        how: what is trained, and with which peers.
        dtype: of weights and activations; in bfloat16 only ours and transformers + PEFT run.
    """
    ways = [
        Way(OURS, sys.executable, "ours.py"),
        Way("transformers + PEFT", how.peers, "transformers_peft.py"),
    ]
    if dtype == "float32":
        ways += [
            Way("TRL SFTTrainer", how.peers, "trl_sft.py"),
            Way("Tunix", how.tunix, "tunix_sft.py"),
        ]
    with tempfile.TemporaryDirectory() as folder:
        config = random_model(folder, how.layers)
        found = measure(ways, how.rounds, folder, how.length, how.steps, how.share, dtype)
    ours = found[OURS]
    work = flops(config, how.length, how.share)
    print(
        f"{work / 1e9:.0f} GFLOP a step; "
        f"matrix products: {product_speed(dtype) / 1e9:.0f} GFLOP/s\n"
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
            f"{how.length / row['wall s']:.0f}",
            f"{work / row['wall s'] / 1e9:.0f}",
            f"{row['peak MiB']:,.0f}",
            f"{row['first loss']:.4f}",
        )
        for name, row in found.items()
    ]
    print(markdown_table(head, rows))


if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.OmitArgPrefixes,))
