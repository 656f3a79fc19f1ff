"""A BERT encoder (arXiv 1810.04805) in plain JAX: token ids to one unit vector per text."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# A masked key's logit: far below any other, and finite in float32.
_NEVER = -1e9


class Linear(NamedTuple):
    """A projection x_D @ weight_DF + bias_F; an axis of layers L may come first."""

    weight: jax.Array
    bias: jax.Array


class Layers(NamedTuple):
    """All layers, stacked along a first axis L. A norm is a scale and a bias, each [L, D]."""

    query: Linear
    key: Linear
    value: Linear
    attended: Linear
    attended_norm: Linear
    up: Linear
    down: Linear
    norm: Linear


class Weights(NamedTuple):
    """All that the encoder needs.

    Attributes:
        words_VD: embeddings of tokens.
        places_TD: embeddings of positions, plus that of the only kind of segment there is.
        norm: of their sum.
        layers: in order.
    """

    words_VD: jax.Array
    places_TD: jax.Array
    norm: Linear
    layers: Layers


def read_weights(tensors: dict[str, np.ndarray], layers: int) -> Weights:
    """Weights by the names of a `BertModel` of transformers.

    Raises:
        KeyError: one is missing.
    """

    def tensor(name: str) -> jax.Array:
        return jnp.asarray(tensors[name], jnp.float32)

    def linear(name: str) -> Linear:
        # PyTorch keeps outputs first.
        return Linear(tensor(f"{name}.weight").T, tensor(f"{name}.bias"))

    def norm(name: str) -> Linear:
        return Linear(tensor(f"{name}.weight"), tensor(f"{name}.bias"))

    def layer(i: int) -> Layers:
        name = f"encoder.layer.{i}"
        return Layers(
            linear(f"{name}.attention.self.query"),
            linear(f"{name}.attention.self.key"),
            linear(f"{name}.attention.self.value"),
            linear(f"{name}.attention.output.dense"),
            norm(f"{name}.attention.output.LayerNorm"),
            linear(f"{name}.intermediate.dense"),
            linear(f"{name}.output.dense"),
            norm(f"{name}.output.LayerNorm"),
        )

    each = [layer(i) for i in range(layers)]
    return Weights(
        tensor("embeddings.word_embeddings.weight"),
        tensor("embeddings.position_embeddings.weight")
        + tensor("embeddings.token_type_embeddings.weight")[0],
        norm("embeddings.LayerNorm"),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *each),
    )


@functools.partial(jax.jit, static_argnames=("heads", "eps"))
def encode(
    weights: Weights, ids_BT: jax.Array, lengths_B: jax.Array, *, heads: int, eps: float
) -> jax.Array:
    """Unit vectors float32[B, D]: the mean over the tokens of each text.

    Args:
        weights: of the encoder.
        ids_BT: token ids; what stands behind the end of a text does not matter.
        lengths_B: tokens of each text; a row of length 0 gives zeros.
        heads: of attention.
        eps: of the norms.
    """
    # The default of accelerators is a product in bfloat16, whose vectors are not those of a CPU.
    with jax.default_matmul_precision("float32"):
        T = ids_BT.shape[1]
        mask_BT = jnp.arange(T) < lengths_B[:, None]
        x_BTD = _normed(weights.words_VD[ids_BT] + weights.places_TD[:T], weights.norm, eps)
        bias_B11T = jnp.where(mask_BT, 0, _NEVER)[:, None, None]

        def step(x_BTD, layer: Layers):
            return _layer(x_BTD, layer, bias_B11T, heads, eps), None

        x_BTD, _ = jax.lax.scan(step, x_BTD, weights.layers)
        mean_BD = (x_BTD * mask_BT[..., None]).sum(1) / jnp.maximum(lengths_B, 1)[:, None]
        return mean_BD / jnp.maximum(jnp.linalg.norm(mean_BD, axis=1, keepdims=True), 1e-12)


def _layer(x_BTD, layer: Layers, bias_B11T, heads: int, eps: float):
    B, T, D = x_BTD.shape
    q_BTNH, k_BTNH, v_BTNH = (
        _linear(x_BTD, part).reshape(B, T, heads, D // heads)
        for part in (layer.query, layer.key, layer.value)
    )
    # Both token axes are T, so the queries' is named Q here.
    logits_BNQT = jnp.einsum("BQNH,BTNH->BNQT", q_BTNH, k_BTNH) / (D // heads) ** 0.5
    share_BNQT = jax.nn.softmax(logits_BNQT + bias_B11T)
    seen_BTD = jnp.einsum("BNQT,BTNH->BQNH", share_BNQT, v_BTNH).reshape(B, T, D)
    x_BTD = _normed(x_BTD + _linear(seen_BTD, layer.attended), layer.attended_norm, eps)
    # BERT's GELU is the exact one; JAX's default is an approximation.
    up_BTF = jax.nn.gelu(_linear(x_BTD, layer.up), approximate=False)
    return _normed(x_BTD + _linear(up_BTF, layer.down), layer.norm, eps)


def _linear(x_BTD, part: Linear):
    return x_BTD @ part.weight + part.bias


def _normed(x_BTD, norm: Linear, eps: float):
    centred_BTD = x_BTD - x_BTD.mean(-1, keepdims=True)
    variance_BT1 = jnp.mean(centred_BTD**2, -1, keepdims=True)
    return centred_BTD * jax.lax.rsqrt(variance_BT1 + eps) * norm.weight + norm.bias
