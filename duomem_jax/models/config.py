"""The shape of a decoder, the same record for every family."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from duomem_jax.base.errors import UserError
from duomem_jax.models.rope import Rope

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
ACTIVATIONS = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_pytorch_tanh": lambda x: jax.nn.gelu(x, approximate=True),
}


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
    rope: Rope = field(default_factory=Rope)
    norm_eps: float = 1e-6
    tied: bool = True  # the head is the transposed embedding
    qk_norm: bool = True  # RMSNorm over H of queries and keys
    attn_bias: bool = False  # bias on q, k and v
    max_len: int = 2048  # longest context the weights were made for, tokens
    dtype: str = "float32"  # of the activations; accumulations are always float32

    activation: str = "silu"  # of the gate: SwiGLU, or GeGLU
    query_scale: float = 0.0  # queries are multiplied by it; 0: H ** -0.5
    unit_offset: bool = False  # norms multiply by 1 + scale (Gemma)
    post_norms: bool = False  # norms after attention and feed-forward too (Gemma)
    embed_scale: bool = False  # embeddings are multiplied by sqrt(D) (Gemma)
    attn_softcap: float = 0.0  # scores s become c * tanh(s / c); 0: they stay
    logit_softcap: float = 0.0  # the same for logits

    # Layers that see the last `window` tokens only, and their own rotation.
    sliding: tuple[bool, ...] = ()  # one a layer; empty: none
    window: int = 0  # tokens, the query's own included
    local_rope: Rope | None = None  # None: `rope`

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
        if self.sliding and (len(self.sliding) != self.n_layers or self.window < 1):
            raise UserError(
                f"model config: sliding names {len(self.sliding)} of {self.n_layers} layers, "
                f"with a window of {self.window}; give one entry a layer and a window above 0"
            )
