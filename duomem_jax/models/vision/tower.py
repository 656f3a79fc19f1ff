"""One vision transformer for every model that sees: pre-norm, every patch sees every other.

Parameters, the layers stacked on a leading axis L:

    patches/{filter [D,3,p,p], bias [D]}, positions [T,D], class_token [D],
    layers/self_attn/q_proj/kernel [L,D,D], ..., post_norm/scale [D]
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.cached import cached_attention
from duomem_jax.models.config import ACTIVATIONS
from duomem_jax.models.decoder_layer import ACTIVATION
from duomem_jax.models.layers import KEEP_PRODUCTS, LayerNorm, Projection, RMSNorm, partitioned
from duomem_jax.models.scores import ScoreRule
from duomem_jax.models.vision.config import TowerConfig

NORMS = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}
_NORMAL = nn.initializers.normal(0.02)


class Patches(nn.Module):
    """Each patch of p by p pixels times one filter."""

    config: TowerConfig

    @nn.compact
    def __call__(self, tiles_Bhwc: jax.Array) -> jax.Array:
        """x_BTD, row by row from the top."""
        D, p = self.config.d_model, self.config.patch_size
        # As it lies in files; the convolution reads every layout.
        filter_Dchw: Any = self.param("filter", partitioned(_NORMAL, "embed"), (D, 3, p, p))
        bias_D: Any = self.param("bias", partitioned(nn.initializers.zeros, "embed"), (D,))
        x_BhwD = jax.lax.conv_general_dilated(
            tiles_Bhwc,
            filter_Dchw.astype(tiles_Bhwc.dtype),
            window_strides=(p, p),
            padding="VALID",
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        )
        return x_BhwD.reshape(len(tiles_Bhwc), -1, D) + bias_D.astype(tiles_Bhwc.dtype)


class Attention(nn.Module):
    """Attention of all tokens of a tile to all of them."""

    config: TowerConfig

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Return o_BTD."""
        c, (B, T, D) = self.config, x_BTD.shape

        def heads(name: str) -> jax.Array:
            project = Projection(D, ("embed", "heads"), use_bias=c.qkv_bias, name=name)
            return project(x_BTD).reshape(B, T, c.n_heads, -1)

        q_BTNH, k_BTNH, v_BTNH = heads("q_proj"), heads("k_proj"), heads("v_proj")
        # A query sees what is not later than itself: here all of them stand at the end.
        last_BT = jnp.full((B, T), T - 1)
        k_BNHT, v_BNTH = k_BTNH.transpose(0, 2, 3, 1), v_BTNH.transpose(0, 2, 1, 3)
        rule = ScoreRule((D // c.n_heads) ** -0.5)
        o_BTNH = cached_attention(rule, q_BTNH, k_BNHT, v_BNTH, last_BT)
        out = Projection(D, ("heads", "embed"), use_bias=True, name="o_proj")
        return out(o_BTNH.reshape(B, T, D))


class Mlp(nn.Module):
    """down(act(up(x))), both with biases."""

    config: TowerConfig

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Return x_BTD."""
        c = self.config
        h_BTF = Projection(c.d_ff, ("embed", "mlp"), use_bias=True, name="up_proj")(x_BTD)
        h_BTF = nn.with_logical_constraint(ACTIVATIONS[c.activation](h_BTF), ("batch", None, "mlp"))
        return Projection(c.d_model, ("mlp", "embed"), use_bias=True, name="down_proj")(h_BTF)


class TowerLayer(nn.Module):
    """One pre-norm layer, in the form `nn.scan` wants: carry in, carry out."""

    config: TowerConfig

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> tuple[jax.Array, None]:
        """Return (x_BTD, None)."""
        norm = NORMS[self.config.norm]
        h_BTD = norm(self.config.norm_eps, name="attn_norm")(x_BTD)
        x_BTD += self._scaled("attn_scale", Attention(self.config, name="self_attn")(h_BTD))
        h_BTD = norm(self.config.norm_eps, name="mlp_norm")(x_BTD)
        x_BTD += self._scaled("mlp_scale", Mlp(self.config, name="mlp")(h_BTD))
        return nn.with_logical_constraint(x_BTD, ACTIVATION), None

    def _scaled(self, name: str, h_BTD: jax.Array) -> jax.Array:
        """What a block adds, times a factor for each entry where the tower has them."""
        start = self.config.layer_scale
        if not start:
            return h_BTD
        init = partitioned(nn.initializers.constant(start), "norm")
        scale_D: Any = self.param(name, init, h_BTD.shape[-1:])
        return h_BTD * scale_D.astype(h_BTD.dtype)


class Tower(nn.Module):
    """Tiles to one vector a patch."""

    config: TowerConfig

    @nn.compact
    def __call__(self, tiles_Bhwc: jax.Array) -> jax.Array:
        """x_BTD of the patches, row by row from the top, without the class token."""
        c = self.config
        x_BTD = nn.with_logical_constraint(self._embed(tiles_Bhwc), ACTIVATION)
        layers = nn.scan(
            nn.remat(TowerLayer, prevent_cse=False, policy=KEEP_PRODUCTS),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=c.n_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(c, name="layers")
        x_BTD, _ = layers(x_BTD)
        if c.post_norm:
            x_BTD = LayerNorm(c.norm_eps, name="post_norm")(x_BTD)
        return x_BTD[:, 1:] if c.class_token else x_BTD

    def _embed(self, tiles_Bhwc: jax.Array) -> jax.Array:
        """x_BTD of the patches and their positions, the class token first where there is one."""
        c = self.config
        x_BTD = Patches(c, name="patches")(tiles_Bhwc)
        if c.class_token:
            token_D: Any = self.param("class_token", partitioned(_NORMAL, "norm"), (c.d_model,))
            first_B1D = jnp.broadcast_to(token_D.astype(x_BTD.dtype), (len(x_BTD), 1, c.d_model))
            x_BTD = jnp.concatenate([first_B1D, x_BTD], axis=1)
        shape = c.side**2 + c.class_token, c.d_model
        positions_TD: Any = self.param("positions", partitioned(_NORMAL, "table", "embed"), shape)
        return x_BTD + positions_TD.astype(x_BTD.dtype)
