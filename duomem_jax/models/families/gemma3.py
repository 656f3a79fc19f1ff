"""Gemma 3, text (270M, 1B, and the text part of larger ones saved alone).

Norms on heads, five sliding layers to a full one, each kind with its own rotation.
"""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import Family, HfConfig, decoder_weights, read_rope, supported
from duomem_jax.models.families.gemma2 import gemma_config, gemma_hf


def _from_hf(hf: HfConfig) -> ModelConfig:
    supported(hf, "attn_logit_softcapping", None)  # the reference would not apply it
    return ModelConfig(
        **gemma_config(hf),
        rope=read_rope(hf, "full_attention"),
        local_rope=read_rope(hf, "sliding_attention"),
    )


def _to_hf(c: ModelConfig) -> HfConfig:
    # The file names a rotation for both kinds of layers, also where they are equal.
    local = c.local_rope or c.rope
    ropes = {"full_attention": c.rope.to_hf(), "sliding_attention": local.to_hf()}
    return {**gemma_hf(c, "Gemma3ForCausalLM"), "rope_parameters": ropes}


GEMMA3 = Family("gemma3_text", _from_hf, _to_hf, decoder_weights)
