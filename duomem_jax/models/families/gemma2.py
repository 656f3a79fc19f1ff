"""Gemma 2 (2B, 9B, 27B): soft caps, norms on both sides, every second layer slides."""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import (
    Arguments,
    Family,
    HfConfig,
    common_config,
    common_hf,
    decoder_weights,
    positive,
    read_rope,
    sliding_hf,
    sliding_layers,
    supported,
)

ACTIVATION = "hidden_activation"  # how Gemma calls the field


def gemma_config(hf: HfConfig) -> Arguments:
    """The arguments of `ModelConfig` that Gemma 2 and 3 share."""
    # What the decoder does not do is refused: ignored, it would give another model's numbers.
    supported(hf, "attention_bias", False)
    supported(hf, "use_bidirectional_attention", None, False)
    return {
        **common_config(hf, ACTIVATION),
        **sliding_layers(hf),
        "query_scale": positive(hf, "query_pre_attn_scalar") ** -0.5,
        "unit_offset": True,
        "post_norms": True,
        "embed_scale": True,
        "logit_softcap": soft_cap(hf, "final_logit_softcapping"),
    }


def soft_cap(hf: HfConfig, field: str) -> float:
    """The field's value; 0 where there is no cap."""
    return positive(hf, field) if hf.get(field) else 0.0


def gemma_hf(c: ModelConfig, architecture: str) -> HfConfig:
    """The fields of config.json that Gemma 2 and 3 share."""
    return {
        **common_hf(c, architecture, ACTIVATION),
        **sliding_hf(c),
        # A whole number in the config; the powers there and back leave a rounding error.
        "query_pre_attn_scalar": round(c.query_scale**-2),
        "final_logit_softcapping": c.logit_softcap or None,
        "attn_logit_softcapping": c.attn_softcap or None,
        "attention_bias": False,
    }


def _from_hf(hf: HfConfig) -> ModelConfig:
    return ModelConfig(
        **gemma_config(hf),
        rope=read_rope(hf),
        qk_norm=False,
        attn_softcap=soft_cap(hf, "attn_logit_softcapping"),
    )


def _to_hf(c: ModelConfig) -> HfConfig:
    return gemma_hf(c, "Gemma2ForCausalLM")


GEMMA2 = Family("gemma2", _from_hf, _to_hf, decoder_weights)
