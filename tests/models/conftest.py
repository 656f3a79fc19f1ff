"""One random Qwen3 in transformers, shared by the parity tests."""

import pytest


@pytest.fixture(scope="session", params=[True, False], ids=["tied", "untied"])
def hf_folder(request, tmp_path_factory):
    torch = pytest.importorskip("torch")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=request.param,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 5e4},
        initializer_range=0.2,
    )
    torch_model = Qwen3ForCausalLM(config).eval()
    for name, p in torch_model.named_parameters():
        if "norm" in name:  # ones would hide a norm that is not applied
            p.data += 0.3 * torch.randn_like(p)
    folder = tmp_path_factory.mktemp("qwen3")
    torch_model.save_pretrained(folder)
    return folder, torch_model
