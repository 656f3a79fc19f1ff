"""Qwen3 dense models (0.6B to 32B), and the tiny models shipped with this package."""

from typing import Any

from duomem_jax.errors import UserError
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families.base import Family, Weight, norm, projection


def _from_hf(hf: dict[str, Any]) -> ModelConfig:
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise UserError(
            f"config.json: rope_type {rope['rope_type']!r} is not supported; use the plain model"
        )
    if hf.get("attention_bias") or hf.get("use_sliding_window"):
        raise UserError(
            "config.json: attention_bias and use_sliding_window are not supported for qwen3; "
            "use a model without them"
        )
    heads = hf["num_attention_heads"]
    return ModelConfig(
        family="qwen3",
        vocab_size=hf["vocab_size"],
        d_model=hf["hidden_size"],
        n_layers=hf["num_hidden_layers"],
        n_heads=heads,
        n_kv_heads=hf["num_key_value_heads"],
        head_dim=hf.get("head_dim") or hf["hidden_size"] // heads,
        d_ff=hf["intermediate_size"],
        rope_theta=float(rope.get("rope_theta") or hf.get("rope_theta") or 1e4),
        norm_eps=hf["rms_norm_eps"],
        tied=hf.get("tie_word_embeddings", False),
        max_len=hf["max_position_embeddings"],
    )


def _to_hf(c: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_hidden_layers": c.n_layers,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_kv_heads,
        "head_dim": c.head_dim,
        "intermediate_size": c.d_ff,
        "hidden_act": "silu",
        "rope_theta": c.rope_theta,
        "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": c.tied,
        "max_position_embeddings": c.max_len,
        "attention_bias": False,
        "attention_dropout": 0.0,
    }


def _weights(c: ModelConfig) -> list[Weight]:
    attn, mlp = "self_attn", "mlp"
    out = [
        Weight("model.embed_tokens.weight", ("embedding",)),
        Weight("model.norm.weight", ("norm", "scale")),
        norm("input_layernorm", "input_layernorm"),
        norm("post_attention_layernorm", "post_attention_layernorm"),
        *(norm(f"{attn}.{n}", attn, n) for n in ("q_norm", "k_norm")),
        *(projection(f"{attn}.{n}", attn, n) for n in ("q_proj", "k_proj", "v_proj", "o_proj")),
        *(projection(f"{mlp}.{n}", mlp, n) for n in ("gate_proj", "up_proj", "down_proj")),
    ]
    if not c.tied:
        out.append(Weight("lm_head.weight", ("head",), transpose=True))
    return out


QWEN3 = Family("qwen3", _from_hf, _to_hf, _weights)
