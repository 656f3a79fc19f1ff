"""The least time that a step can take on a chip, and the most of its peak that it can use.

    compute = operations / peak rate          (products and attention kernels)
    memory  = bytes of main memory / its rate
    network = bytes received / half of the rate of all links, which counts both directions
    step    = max(compute, memory, network)
    MFU     = operations that the model needs / (step * peak rate)

(Williams et al., Roofline, 2009; MFU as in PaLM, arXiv 2204.02311.) All three are taken to overlap
fully and every link to be busy: real steps are slower, those of small matrices most of all.
"""

from dataclasses import dataclass

from duomem_jax.aot.steps import RowSizes
from duomem_jax.aot.work import Work
from duomem_jax.mesh.chips import Chip
from duomem_jax.models.flops import Load, forward_flops, train_flops, windows
from duomem_jax.models.model import Model
from duomem_jax.train.plan import Plan


@dataclass(frozen=True)
class Roofline:
    """Seconds that each part of a step would take if there were no other part."""

    compute: float
    memory: float
    network: float

    @property
    def step(self) -> float:
        """Seconds that a step takes at least."""
        return max(self.compute, self.memory, self.network)

    @property
    def bound(self) -> str:
        """The part that takes longest: compute, memory or network."""
        return max(("compute", "memory", "network"), key=lambda name: getattr(self, name))


def roofline(chip: Chip, work: Work) -> Roofline:
    """The least seconds in which a chip can do this work, by what limits it."""
    return Roofline(
        compute=work.flops / chip.flops,
        memory=work.hbm / chip.hbm_rate,
        network=work.received / (chip.ici_rate / 2),  # the rate counts both directions
    )


def model_flops(plan: Plan, rows: RowSizes) -> float:
    """Operations that a global batch needs, one segment a row."""
    total = train_flops(plan.model, _load(plan.model, rows))
    if plan.teacher is not None:
        teacher = plan.teacher.model
        # A teacher in the loop only runs forward.
        total += forward_flops(teacher, _load(teacher, rows))
    return plan.config.global_batch * total


def _load(model: Model, rows: RowSizes) -> Load:
    pairs = sum(layers * _seen(rows.length, window) for window, layers in windows(model))
    return Load(rows.length, pairs, rows.replies)


def _seen(length: int, window: int) -> float:
    """Pairs of a query and a key that it sees, in a row of `length` tokens; window 0: all keys."""
    window = min(window or length, length)
    # The first queries see 1, 2, ... `window` keys, each later one `window` of them.
    return window * (window + 1) / 2 + (length - window) * window
