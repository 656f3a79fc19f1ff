"""Qwen2 and Qwen2.5 (0.5B to 72B): biases on q, k and v, no norm on heads."""

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
)


def _from_hf(hf: dict[str, Any]) -> ModelConfig:
    return ModelConfig(
        **common_config(hf),
        rope=read_rope(hf),
        qk_norm=False,
        attn_bias=True,
        **sliding_layers(hf),
    )


def _to_hf(c: ModelConfig) -> dict[str, Any]:
    return {
        **common_hf(c, "Qwen2ForCausalLM"),
        **sliding_hf(c),
        "use_sliding_window": any(c.sliding),
    }


QWEN2 = Family("qwen2", _from_hf, _to_hf, decoder_weights)
