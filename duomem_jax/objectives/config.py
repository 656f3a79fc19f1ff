"""What a student is trained to do."""

from dataclasses import dataclass
from typing import Literal

from duomem_jax.base.errors import UserError

Divergence = Literal["forward_kl", "reverse_kl", "jsd", "skew_forward_kl", "skew_reverse_kl"]
# For a teacher with another tokenizer: on chunks of text that both spell (`objectives.aligned`).
OnChunks = Literal["alm", "alm_reverse_kl", "alm_limit", "reverse_calm", "uld"]


@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss per token of a reply: (1 - ce_weight) temperature^2 divergence + ce_weight CE.

    On chunks of text the factor is the temperature itself, whose inverse their gradients have.
    """

    name: Literal["text"] | Divergence | OnChunks = "text"  # text: the cross-entropy alone
    temperature: float = 1.0  # both distributions are softened by it
    ce_weight: float = 0.0  # share of the cross-entropy of the written tokens
    beta: float = 0.5  # of jsd: 0 is the forward KL, 1 the reverse one
    skew: float = 0.1  # of the skew divergences

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UserError(f"objective.temperature is {self.temperature}; give more than 0")
        # beta may reach both ends, which `divergences.jsd` treats by themselves.
        for field, low, high in (("ce_weight", 0, 1), ("beta", 0, 1)):
            if not low <= getattr(self, field) <= high:
                raise UserError(f"objective.{field} is {getattr(self, field)}; give 0 to 1")
        # Open at both ends: the mixture takes log(skew) and log(1 - skew).
        if not 0 < self.skew < 1:
            raise UserError(f"objective.skew is {self.skew}; give a number between 0 and 1")
