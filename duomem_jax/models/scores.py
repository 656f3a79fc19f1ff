"""How attention's scores are made of queries and keys."""

from typing import NamedTuple

import jax

from duomem_jax.models.layers import soft_cap


class ScoreRule(NamedTuple):
    """Scale, cap and mask of the scores of one kind of layer; static."""

    scale: float  # of the queries
    softcap: float = 0.0  # c: scores s become c * tanh(s / c); 0: they stay
    window: int = 0  # a query sees so many tokens, itself included; 0: all earlier ones

    def cap(self, s: jax.Array) -> jax.Array:
        """Scores as the softmax meets them."""
        return soft_cap(s, self.softcap)

    def slope(self, capped: jax.Array) -> jax.Array | float:
        """Derivative of `cap` where it gave `capped`."""
        # d tanh(x) = 1 - tanh(x)^2, and tanh is capped / c.
        return 1 - (capped / self.softcap) ** 2 if self.softcap else 1.0

    def sees(self, back: jax.Array) -> jax.Array:
        """Whether a query sees the key that lies `back` tokens before it."""
        return (back >= 0) & (back < self.window) if self.window else back >= 0
