"""The least time that a step can take on a chip, and the most of its peak that it can use.

    compute = operations / peak rate          (products and attention kernels)
    memory  = bytes of main memory / its rate
    network = bytes received / half of the rate of all links, which counts both directions
    step    = max(compute, memory, network)
    MFU     = operations that the model needs / (step * peak rate)

(Williams et al., Roofline, 2009; MFU as in PaLM, arXiv 2204.02311.) All three are taken to overlap
fully and every link to be busy: what runs in fact is slower, most of all for small matrices.
"""

from dataclasses import dataclass

import jax

from duomem_jax.aot.cost import Cost
from duomem_jax.aot.steps import Rows
from duomem_jax.config import TrainConfig
from duomem_jax.models.model import Model
from duomem_jax.train.chips import Chip


@dataclass(frozen=True)
class Roofline:
    """Seconds, were nothing else to do."""

    compute: float
    memory: float
    network: float

    @property
    def step(self) -> float:
        """Seconds that a step takes at least."""
        return max(self.compute, self.memory, self.network)

    @property
    def bound(self) -> str:
        """What takes longest."""
        return max(("compute", "memory", "network"), key=lambda name: getattr(self, name))


def roofline(chip: Chip, cost: Cost) -> Roofline:
    """Of a program of that cost."""
    rates = chip.flops, chip.hbm_rate, chip.ici_rate / 2
    work = cost.flops, cost.hbm, cost.received
    return Roofline(*(amount / rate for amount, rate in zip(work, rates, strict=True)))


def model_flops(config: TrainConfig, model: Model, rows: Rows, teacher: Model | None) -> float:
    """Operations that a global batch needs, nothing computed twice and one segment a row.

    A frozen kernel takes one product forward and one for the gradient of its input, a trained one
    another for its own gradient; attention twice as much backward as forward.
    """
    passes = 2 if config.trainable == "lora" else 3
    total = _forward(model, rows, passes, 3)
    if model.lora is not None:
        total += 3 * 2 * rows.length * _size(model.shapes()["lora"])
    if teacher is not None:
        total += _forward(teacher, rows, 1, 1)
    return config.global_batch * total


def _forward(model: Model, rows: Rows, passes: int, attention_passes: int) -> float:
    """Of one row, every part taken as often as given."""
    c, T = model.config, rows.length
    kernels = _size(model.shapes()["params"]["layers"])
    head = rows.replies * c.vocab_size * c.d_model
    seen = sum(_seen(T, c.window if near else 0) for near in c.sliding or (False,) * c.n_layers)
    return 2 * passes * (T * kernels + head) + attention_passes * 4 * c.n_heads * c.head_dim * seen


def _seen(length: int, window: int) -> float:
    """Pairs of a query and a key that it sees."""
    window = min(window or length, length)
    return window * (window + 1) / 2 + (length - window) * window


def _size(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
