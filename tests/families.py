"""Random models of every family, made by transformers: what ours are compared with."""

import pytest

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 5e4}
SLIDES = {"head_dim": 16, "sliding_window": 24, "query_pre_attn_scalar": 20, "pad_token_id": None}
# Old spellings too: they are what the hub's config.json files hold.
FAMILIES = {
    "qwen3": {"num_hidden_layers": 3, "head_dim": 16, "tie_word_embeddings": True},
    "qwen3-untied": {"num_hidden_layers": 2, "head_dim": 16, "rope_parameters": PLAIN_ROPE},
    "qwen2": {"num_hidden_layers": 3, "tie_word_embeddings": True, "rope_theta": 1e6},
    "qwen2-sliding": {
        "num_hidden_layers": 3,
        "use_sliding_window": True,
        "sliding_window": 40,
        "max_window_layers": 1,
    },
    "llama": {
        "num_hidden_layers": 2,
        "rope_theta": 5e3,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 128,
        },
    },
    "llama-tied": {"num_hidden_layers": 2, "num_key_value_heads": 4, "tie_word_embeddings": True},
    "gemma2": {"num_hidden_layers": 3, **SLIDES},
    "gemma3_text": {
        "num_hidden_layers": 4,
        **SLIDES,
        "sliding_window_pattern": 3,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
}

# The others differ from one of these in a way that another of these has: they run with -m slow.
ALWAYS = ("qwen3", "qwen2-sliding", "llama", "gemma2", "gemma3_text")
PARAMS = [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow, id=name)
    for name in FAMILIES
]


def make_model(name, folder, std, **fields):
    """A torch model of a family, its weights drawn with `std`, saved in `folder`.

    Args:
        fields: of its config, in place of those above.
    """
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(0)
    whole = SHAPE | FAMILIES[name] | {"initializer_range": std} | fields
    config = CONFIG_MAPPING[name.split("-")[0]](**whole)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for parameter, p in model.named_parameters():
        if "norm" in parameter or "bias" in parameter:  # fresh, they would hide that they are lost
            p.data += 0.3 * torch.randn_like(p)
    model.save_pretrained(folder)
    return model
