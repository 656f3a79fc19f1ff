"""What a student is trained to do."""

from typing import Annotated, Literal

from annotated_types import Interval

from duomem_jax.base.ranges import Share, Softness, options

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
    beta: Share = 0.5  # of jsd: 0 is the forward KL, 1 the reverse one
    # Open at both ends: the mixture takes log(skew) and log(1 - skew).
    skew: Annotated[float, Interval(gt=0, lt=1)] = 0.1  # of the skew divergences
