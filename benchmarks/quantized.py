"""What quantising the kernels costs: bytes of the parameters, and perplexity on packed examples.

python benchmarks/quantized.py --model tiny-teacher --data runs/quickstart/examples
"""

import math

import jax
import tyro

from duomem_jax.data.loader import batches
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import KINDS
from duomem_jax.models.shapes import tree_bytes
from duomem_jax.objectives import States, TextTargets


def main(data: str, model: str = "tiny-teacher", rows: int = 32) -> None:
    """Print a table.

    Args:
        data: examples of the model's own tokenizer, from `duomem examples`.
        model: folder, hub id or shipped model.
        rows: how many packed rows are read.
    """
    print("| kernels | MB of parameters | of which kernels | nats a token | perplexity |")
    print("|---|---|---|---|---|")
    for kind in ("", *KINDS):
        config, params = load_pretrained(model_path(model), quantize=kind)
        net = Model(config)

        @jax.jit
        def loss(params, batch, net=net):
            seen = batch.student
            x_BTD = net.hidden(params, seen.ids_BT, seen.positions_BT, seen.segments_BT)
            return TextTargets().loss(States(x_BTD, net.head(params)), batch)

        total = weight = 0.0
        read = batches(data, global_batch=4, seed=0, needs=TextTargets.needs)
        for _ in range(rows // 4):
            summed, tokens = loss(params, next(read))
            total, weight = total + float(summed), weight + float(tokens)
        read.close()
        size = tree_bytes(params)
        kernels = size - params["embedding"].nbytes
        mean = total / weight
        print(
            f"| {kind or config.dtype} | {size / 1e6:.2f} | {kernels / 1e6:.2f} | {mean:.4f} | "
            f"{math.exp(mean):.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    tyro.cli(main)
