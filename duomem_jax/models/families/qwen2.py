"""Qwen2 and Qwen2.5 (0.5B to 72B): biases on q, k and v, no norm on heads."""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import (
    Arguments,
    Family,
    HfConfig,
    common_config,
    common_hf,
    decoder_weights,
    read_rope,
    sliding_hf,
    sliding_layers,
)


def qwen_config(hf: HfConfig) -> Arguments:
    """The arguments of `ModelConfig` that Qwen2 and Qwen3 share."""
    return {**common_config(hf), **sliding_layers(hf), "rope": read_rope(hf)}


def qwen_hf(c: ModelConfig, architecture: str) -> HfConfig:
    """The fields of config.json that Qwen2 and Qwen3 share."""
    sliding = {**sliding_hf(c), "use_sliding_window": any(c.sliding)}
    return {**common_hf(c, architecture), **sliding}


def _from_hf(hf: HfConfig) -> ModelConfig:
    return ModelConfig(**qwen_config(hf), qk_norm=False, attn_bias=True)


def _to_hf(c: ModelConfig) -> HfConfig:
    return qwen_hf(c, "Qwen2ForCausalLM")


QWEN2 = Family("qwen2", _from_hf, _to_hf, decoder_weights)
