"""Qwen3 dense models (0.6B to 32B), and the tiny models shipped with this package."""

from typing import Any

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import (
    Family,
    common_config,
    common_hf,
    decoder_weights,
    read_rope,
    sliding_hf,
    sliding_layers,
    supported,
)


def _from_hf(hf: dict[str, Any]) -> ModelConfig:
    supported(hf, "attention_bias", False)
    return ModelConfig(**common_config(hf), rope=read_rope(hf), **sliding_layers(hf))


def _to_hf(c: ModelConfig) -> dict[str, Any]:
    return {
        **common_hf(c, "Qwen3ForCausalLM"),
        **sliding_hf(c),
        "use_sliding_window": any(c.sliding),
        "attention_bias": False,
    }


QWEN3 = Family("qwen3", _from_hf, _to_hf, decoder_weights)
