"""Which projections get an adapter, and how large it is."""

import math
from typing import Annotated, Literal

from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Below1, Positive, options

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ALL = "all-linear"  # PEFT's name for every one of them
LARGEST_RANK = 4096  # as wide as a layer of a large model


@options
class LoraConfig:
    """y = x W + scale (x a) b on each target projection of each layer (arXiv 2106.09685)."""

    rank: Annotated[int, Interval(ge=1, le=LARGEST_RANK)] = 16  # R
    alpha: Positive = 32.0
    targets: tuple[str, ...] = TARGETS  # or ("all-linear",); kept in one order
    rslora: bool = False  # scale alpha / sqrt(rank) (arXiv 2312.03732), else alpha / rank
    dropout: Below1 = 0.0  # share of the adapter's inputs dropped while training
    # Which factor a fresh adapter starts with at zero, so that it changes nothing; the other one is
    # random. With "b", PEFT's choice, a has no gradient in the first step; with "a", b has none
    # (arXiv 2406.08447). Public reports of runs that stay where they start on some layouts of
    # devices are of "b".
    zero: Literal["a", "b"] = "b"

    def __post_init__(self) -> None:
        if ALL in self.targets:
            object.__setattr__(self, "targets", TARGETS)
        unknown = sorted(set(self.targets) - set(TARGETS))
        if unknown or not self.targets:
            raise UserError(
                f"lora config: targets has {', '.join(unknown) or 'nothing'}; "
                f"choose from {', '.join((*TARGETS, ALL))}"
            )
        in_order = tuple(name for name in TARGETS if name in self.targets)
        object.__setattr__(self, "targets", in_order)  # equal sets make equal configs

    @property
    def scale(self) -> float:
        """What the adapter's product is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)
