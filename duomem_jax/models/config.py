"""The shape of a decoder, the same record for every family."""

from dataclasses import dataclass

import jax.numpy as jnp

from duomem_jax.errors import UserError

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class ModelConfig:
    """A decoder's shape; the letters are those of the shape suffixes (`x_BTD`)."""

    family: str  # a name in models/families
    vocab_size: int  # V
    d_model: int  # D
    n_layers: int  # L
    n_heads: int  # N query heads
    n_kv_heads: int  # K key/value heads, divides N
    head_dim: int  # H
    d_ff: int  # F
    rope_theta: float = 1e6
    norm_eps: float = 1e-6
    tied: bool = True  # the head is the transposed embedding
    qk_norm: bool = True  # RMSNorm over H of queries and keys
    attn_bias: bool = False  # bias on q, k and v
    max_len: int = 2048  # longest context the weights were made for, tokens
    dtype: str = "float32"  # of the activations; accumulations are always float32

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UserError(
                f"model config: dtype is {self.dtype!r}; choose one of {', '.join(DTYPES)}"
            )
        if self.head_dim % 2:
            raise UserError(
                f"model config: head_dim {self.head_dim} is odd; rotary positions need pairs"
            )
        if self.n_heads % self.n_kv_heads:
            raise UserError(
                f"model config: n_heads {self.n_heads} is not a multiple of "
                f"n_kv_heads {self.n_kv_heads}; change one of them"
            )
