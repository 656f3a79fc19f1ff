"""What a student is trained to do."""

from typing import Annotated, Literal, get_args

from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Amount, Share, Softness, options

Divergence = Literal["forward_kl", "reverse_kl", "jsd", "skew_forward_kl", "skew_reverse_kl"]
# For a teacher with another tokenizer: on chunks of text that both spell (`objectives.aligned`).
OnChunks = Literal["alm", "alm_reverse_kl", "alm_limit", "reverse_calm", "uld"]


@options
class ObjectiveConfig:
    """The loss per token of a reply: (1 - ce_weight) temperature^2 divergence + ce_weight CE.

    On chunks of text the factor is the temperature itself, whose inverse their gradients have.
    """

    name: Literal["text"] | Divergence | OnChunks = "text"  # text: the cross-entropy alone
    temperature: Softness = 1.0  # both distributions are softened by it
    ce_weight: Share = 0.0  # share of the cross-entropy of the written tokens
    # Nats: the cross-entropy counts only for tokens whose divergence is above it, where student and
    # teacher disagree; 0: for all. Not for chunks.
    gate: Amount = 0.0
    beta: Share = 0.5  # of jsd: 0 is the forward KL, 1 the reverse one
    # Open at both ends: the mixture takes log(skew) and log(1 - skew).
    skew: Annotated[float, Interval(gt=0, lt=1)] = 0.1  # of the skew divergences

    def __post_init__(self) -> None:
        if self.gate and (not self.ce_weight or self.name not in get_args(Divergence)):
            raise UserError(
                f"gate is {self.gate:g}, and {self.name} with ce_weight {self.ce_weight:g} has no "
                "cross-entropy beside a divergence of each token; omit it, or give both"
            )

    @property
    def on_chunks(self) -> bool:
        """Whether the teacher has another tokenizer."""
        return self.name in get_args(OnChunks)
