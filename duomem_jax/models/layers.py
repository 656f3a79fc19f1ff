"""The small parts of a layer: norms, projection with adapter."""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.quantize import as_kernel

# Kept from the forward pass for the backward one: each layer's input, and what `keep` names. All
# between (norms, rotations, activations) costs less computed again than written and read.
KEPT = "product"
KEEP_PRODUCTS = jax.checkpoint_policies.save_only_these_names(KEPT)


def keep(x: jax.Array) -> jax.Array:
    """`x`, costly to make, is kept for the backward pass if that needs it."""
    return checkpoint_name(x, KEPT)


def partitioned(init: Callable[..., jax.Array], *axes: str) -> Callable[..., Any]:
    """An initializer whose parameter knows the logical names of its axes."""
    return nn.with_logical_partitioning(init, axes)


class RMSNorm(nn.Module):
    """x / rms(x) * scale over the last axis, in float32 (HF `Qwen3RMSNorm`, `Gemma2RMSNorm`)."""

    eps: float
    unit_offset: bool = False  # scale is 1 + the parameter

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise the last axis of `x`; dtype kept."""
        init = nn.initializers.zeros if self.unit_offset else nn.initializers.ones
        scale: Any = self.param("scale", partitioned(init, "norm"), x.shape[-1:])
        # bfloat16 has eight bits of precision, too few for a sum of D squares.
        scale_D = scale.astype(jnp.float32)
        if self.unit_offset:
            scale_D += 1
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + self.eps)
        return (y * scale_D).astype(x.dtype)


class LayerNorm(nn.Module):
    """(x - mean) / deviation * scale + bias over the last axis, in float32 (torch `LayerNorm`)."""

    eps: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise the last axis of `x`; dtype kept."""
        scale: Any = self.param("scale", partitioned(nn.initializers.ones, "norm"), x.shape[-1:])
        bias: Any = self.param("bias", partitioned(nn.initializers.zeros, "norm"), x.shape[-1:])
        y = x.astype(jnp.float32)
        y -= jnp.mean(y, axis=-1, keepdims=True)
        y *= jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + self.eps)
        return (y * scale.astype(jnp.float32) + bias.astype(jnp.float32)).astype(x.dtype)


def _peft_uniform(key, shape, dtype=jnp.float32):
    """PEFT's init of `lora_A`: uniform in +-1/sqrt(in), where a factor has its inputs first."""
    limit = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """c tanh(x / c), which stays within -c and c; a cap of 0 leaves `x` as it is."""
    return cap * jnp.tanh(x / cap) if cap else x


def matmul(x_BTD: jax.Array, w_DF: jax.Array) -> jax.Array:
    """x @ w over flattened tokens: the gradient of `w` is then one plain matrix product."""
    D, F = w_DF.shape
    return (x_BTD.reshape(-1, D) @ w_DF).reshape(*x_BTD.shape[:-1], F)


@jax.custom_vjp
def narrow(x_BTD: jax.Array, w_DR: jax.Array) -> jax.Array:
    """`matmul` with few columns; its gradient by `w` never transposes x.

    XLA makes x.T @ g of it otherwise, which on a CPU takes six times as long as g.T @ x.
    """
    return matmul(x_BTD, w_DR)


def _narrow_bwd(residuals, g_BTR):
    x_BTD, w_DR = residuals
    D, R = w_DR.shape
    g_ZR = g_BTR.reshape(-1, R)
    # Without the barrier XLA turns the product and the transpose round again.
    dw_RD = jax.lax.optimization_barrier(g_ZR.T @ x_BTD.reshape(-1, D))
    return (g_ZR @ w_DR.T).reshape(x_BTD.shape), dw_RD.T


narrow.defvjp(lambda x, w: (matmul(x, w), (x, w)), _narrow_bwd)


def low_rank(
    x_BTD: jax.Array, a: jax.Array, b: jax.Array, adapter_B: jax.Array | None = None
) -> jax.Array:
    """(x a) b with one adapter for all rows, or row by row with its own of a stack.

    Args:
        x_BTD: inputs.
        a: [D,R], or [n,D,R] for a stack of n adapters.
        b: [R,F], or [n,R,F].
        adapter_B: int32, which of the n each row uses; None where there is one.

    Returns:
        y_BTF.
    """
    if adapter_B is None:
        return matmul(keep(narrow(x_BTD, a)), b)
    # a[adapter_B] is [B,D,R] and b[adapter_B] [B,R,F]: a copy of a small adapter for each row.
    h_BTR = keep(jnp.einsum("btd,bdr->btr", x_BTD, a[adapter_B]))
    return jnp.einsum("btr,brf->btf", h_BTR, b[adapter_B])


class Projection(nn.Module):
    """x W (+ bias) (+ adapter); kernel in 'params', the adapter's a and b in 'lora'.

    The adapter is added where `lora` names this projection and a tree of adapters is given: the
    same module without one is the base model.

    Attributes:
        features: F, outputs.
        axes: logical names of the kernel's input and output axis.
        lora: shape of the adapters, or None.
        use_bias: whether outputs have a bias.
    """

    features: int
    axes: tuple[str, str]
    lora: LoraConfig | None = None
    use_bias: bool = False

    @nn.compact
    def __call__(self, x_BTD: jax.Array, adapter_B: jax.Array | None = None) -> jax.Array:
        """Return y_BTF in the dtype of `x_BTD`.

        Args:
            x_BTD: inputs, of any width D.
            adapter_B: int32, which adapter of a stack each row uses; None where there is one.
        """
        D, dtype = x_BTD.shape[-1], x_BTD.dtype
        y_BTF = matmul(x_BTD, as_kernel(self._kernel(D), dtype))
        if self.use_bias:
            zeros = partitioned(nn.initializers.zeros, self.axes[1])
            bias_F: Any = self.param("bias", zeros, (self.features,))
            y_BTF += bias_F.astype(dtype)
        # At `init` the adapter does not exist yet, but its collection is mutable: it is created.
        given = self.has_variable("lora", "a") or self.is_mutable_collection("lora")
        if self.lora is not None and self.name in self.lora.targets and given:
            a, b = (x.astype(dtype) for x in self._adapter(D, self.lora))
            # Only the adapter's input is dropped, as in PEFT: the base above has read all of x.
            keep_all = not self.has_rng("dropout")
            x_BTD = nn.Dropout(self.lora.dropout, deterministic=keep_all)(x_BTD)
            # The scale multiplies b, which is far smaller than the output.
            y_BTF += low_rank(x_BTD, a, self.lora.scale * b, adapter_B)
        return keep(y_BTF)

    def _kernel(self, D: int) -> Any:
        """kernel_DF, an array or a `qwix.QArray`."""
        if self.has_variable("params", "kernel"):  # `param` would refuse a QArray for its shape
            return self.get_variable("params", "kernel")
        init = partitioned(nn.initializers.normal(0.02), *self.axes)
        return self.param("kernel", init, (D, self.features))

    def _adapter(self, D: int, lora: LoraConfig) -> tuple[jax.Array, jax.Array]:
        """a_DR takes the kernel's input axis and b_RF its output axis, so both shard alike."""

        def variable(factor: Literal["a", "b"], shape: tuple[int, int], *axes: str) -> jax.Array:
            start = nn.initializers.zeros if lora.zero == factor else _peft_uniform
            init = partitioned(start, *axes)
            made: Any = self.variable("lora", factor, lambda: init(self.make_rng("lora"), shape))
            return made.value

        a_DR = variable("a", (D, lora.rank), self.axes[0], "rank")
        return a_DR, variable("b", (lora.rank, self.features), "rank", self.axes[1])
