"""Qwen3 dense models (0.6B to 32B), and the tiny models shipped with this package."""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import Family, HfConfig, decoder_weights, supported
from duomem_jax.models.families.qwen2 import qwen_config, qwen_hf


def _from_hf(hf: HfConfig) -> ModelConfig:
    supported(hf, "attention_bias", False)
    return ModelConfig(**qwen_config(hf))


def _to_hf(c: ModelConfig) -> HfConfig:
    return {**qwen_hf(c, "Qwen3ForCausalLM"), "attention_bias": False}


QWEN3 = Family("qwen3", _from_hf, _to_hf, decoder_weights)
