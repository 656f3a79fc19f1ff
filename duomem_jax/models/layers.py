"""The small parts of a decoder layer: norm, rotary positions, projection with adapter."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.lora.config import LoraConfig


class RMSNorm(nn.Module):
    """x / rms(x) * scale over the last axis, in float32 (HF `Qwen3RMSNorm`)."""

    eps: float

    @nn.compact
    def __call__(self, x):
        """Normalise the last axis of `x`; dtype kept."""
        names = ("norm",)
        scale_D = self.param(
            "scale", nn.with_logical_partitioning(nn.initializers.ones, names), x.shape[-1:]
        )
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + self.eps)
        return (y * scale_D).astype(x.dtype)


def rope_tables(positions_BT, head_dim: int, theta: float):
    """cos and sin, each float32 [B,T,1,H/2], of the rotary angles at `positions_BT`."""
    freq = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angle = positions_BT[:, :, None, None].astype(jnp.float32) * freq
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x_BTNH, cos, sin):
    """Rotate halves as Hugging Face does: pairs are (h, h + H/2), not neighbours."""
    a, b = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x_BTNH.dtype)


def _peft_uniform(key, shape, dtype=jnp.float32):
    """PEFT's init of `lora_A`: uniform in +-1/sqrt(in)."""
    limit = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def matmul(x_BTD, w_DF):
    """x @ w over flattened tokens: the gradient of `w` is then one plain matrix product."""
    D, F = w_DF.shape
    return (x_BTD.reshape(-1, D) @ w_DF).reshape(*x_BTD.shape[:-1], F)


class Projection(nn.Module):
    """x W (+ bias) (+ adapter); kernel in 'params', the adapter's a and b in 'lora'."""

    features: int
    axes: tuple[str, str]  # logical names of the kernel's input and output axis
    lora: LoraConfig | None = None
    use_bias: bool = False

    @nn.compact
    def __call__(self, x_BTD):
        """Project the last axis of `x_BTD` to `features`, in the dtype of `x_BTD`."""
        D, dtype = x_BTD.shape[-1], x_BTD.dtype
        part: Any = nn.with_logical_partitioning
        kernel_DF = self.param(
            "kernel", part(nn.initializers.normal(0.02), self.axes), (D, self.features)
        )
        y_BTF = matmul(x_BTD, kernel_DF.astype(dtype))
        if self.use_bias:
            zeros = part(nn.initializers.zeros, self.axes[1:])
            y_BTF += self.param("bias", zeros, (self.features,)).astype(dtype)
        given = self.has_variable("lora", "a") or self.is_mutable_collection("lora")
        if self.lora is not None and self.name in self.lora.targets and given:
            a_DR, b_RF = self._adapter(D, self.lora.rank)
            y_BTF += self.lora.scale * matmul(matmul(x_BTD, a_DR.astype(dtype)), b_RF.astype(dtype))
        return y_BTF

    def _adapter(self, D: int, R: int) -> tuple[jax.Array, jax.Array]:
        """a_DR takes the kernel's input axis and b_RF its output axis, so both shard alike."""
        part: Any = nn.with_logical_partitioning
        init_a = part(_peft_uniform, (self.axes[0], "rank"))
        init_b = part(nn.initializers.zeros, ("rank", self.axes[1]))
        a_DR = self.variable("lora", "a", lambda: init_a(self.make_rng("lora"), (D, R)))
        b_RF = self.variable("lora", "b", lambda: init_b(None, (R, self.features)))
        return a_DR.value, b_RF.value
