"""One projector for every model that sees: neighbouring patches become one token."""

import jax
from flax import linen as nn

from duomem_jax.models.config import ACTIVATIONS
from duomem_jax.models.layers import LayerNorm, Projection
from duomem_jax.models.vision.config import ProjectorConfig

EPS = 1e-5  # of the norm: torch's default, which no config.json changes


def pixel_shuffle(x_BTD: jax.Array, factor: int) -> jax.Array:
    """Each square of `factor` by `factor` patches as one wider vector, its rows one after another.

    Args:
        x_BTD: of T = side * side patches, row by row; `factor` divides the side.
        factor: patches a side of a square.

    Returns:
        [B, T / factor^2, D * factor^2], the squares row by row.
    """
    B, T, D = x_BTD.shape
    n = round(T**0.5) // factor
    squares = x_BTD.reshape(B, n, factor, n, factor, D).transpose(0, 1, 3, 2, 4, 5)
    return squares.reshape(B, n * n, factor * factor * D)


class Projector(nn.Module):
    """Patches to tokens of the decoder's width."""

    config: ProjectorConfig

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """features_BTD, of fewer tokens and the decoder's width."""
        c = self.config
        x_BTD = pixel_shuffle(x_BTD, c.shuffle)
        if not c.mlp:
            return Projection(c.d_out, ("embed", "mlp"), name="proj")(x_BTD)
        x_BTD = LayerNorm(EPS, name="norm")(x_BTD)
        h_BTF = Projection(c.d_out, ("embed", "mlp"), use_bias=True, name="up_proj")(x_BTD)
        h_BTF = ACTIVATIONS[c.activation](h_BTF)
        return Projection(c.d_out, ("mlp", "embed"), use_bias=True, name="down_proj")(h_BTF)
