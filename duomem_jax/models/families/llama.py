"""Llama 3.x, and other models of the same layout, such as SmolLM2."""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import (
    Family,
    HfConfig,
    common_config,
    common_hf,
    decoder_weights,
    read_rope,
    supported,
)


def _from_hf(hf: HfConfig) -> ModelConfig:
    # Layouts that share the name but have biases are refused.
    for field in ("attention_bias", "mlp_bias"):
        supported(hf, field, False)
    return ModelConfig(**common_config(hf), rope=read_rope(hf), qk_norm=False)


def _to_hf(c: ModelConfig) -> HfConfig:
    return {**common_hf(c, "LlamaForCausalLM"), "attention_bias": False, "mlp_bias": False}


LLAMA = Family("llama", _from_hf, _to_hf, decoder_weights)
