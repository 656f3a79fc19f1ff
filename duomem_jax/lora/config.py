"""Which projections get an adapter, and how large it is."""

from dataclasses import dataclass

from duomem_jax.errors import UserError

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraConfig:
    """y = x W + (alpha / rank) (x a) b on each target projection of each layer."""

    rank: int = 16  # R
    alpha: float = 32.0
    targets: tuple[str, ...] = TARGETS  # kept in this order, whatever order is given

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(f"lora config: rank is {self.rank}; give a whole number above 0")
        unknown = sorted(set(self.targets) - set(TARGETS))
        if unknown or not self.targets:
            raise UserError(
                f"lora config: targets has {', '.join(unknown) or 'nothing'}; "
                f"choose from {', '.join(TARGETS)}"
            )
        in_order = tuple(name for name in TARGETS if name in self.targets)
        object.__setattr__(self, "targets", in_order)  # equal sets make equal configs

    @property
    def scale(self) -> float:
        """What the adapter's product is multiplied by."""
        return self.alpha / self.rank
