"""Hugging Face folders: what is read, what is refused."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from duomem_jax.base.errors import UserError
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import fingerprint, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model

CONFIG = ModelConfig("qwen3", 61, 32, 2, 4, 2, 8, 48, tied=False)


@pytest.fixture(scope="module")
def params():
    return jax.device_get(jax.jit(Model(CONFIG).init)(jax.random.key(0)))


@pytest.fixture
def folder(tmp_path, params):
    save_pretrained(tmp_path / "m", CONFIG, params)
    return tmp_path / "m"


def edit(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_bfloat16_halves_the_file_and_reads_back(tmp_path, folder, params):
    save_pretrained(tmp_path / "b", CONFIG, params, "bfloat16")
    sizes = [(f / "model.safetensors").stat().st_size for f in (folder, tmp_path / "b")]
    assert sizes[1] < 0.6 * sizes[0]
    config, back = load_pretrained(tmp_path / "b", "bfloat16")
    assert config.dtype == "bfloat16"
    assert back["embedding"].dtype == "bfloat16"
    np.testing.assert_allclose(back["head"].astype(np.float32), params["head"], rtol=1e-2)


def test_load_reads_weights_in_several_files(folder, params):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    for i, part in enumerate((names[::2], names[1::2])):
        save_file({n: tensors[n] for n in part}, folder / f"model-{i}.safetensors")
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(folder)[1], params)


def test_fingerprint_tells_weights_and_shape_apart(folder, tmp_path, params):
    first = fingerprint(folder)
    save_pretrained(tmp_path / "same", CONFIG, params)
    assert fingerprint(tmp_path / "same") == first
    other = params | {"embedding": params["embedding"] + 1e-6}
    save_pretrained(tmp_path / "same", CONFIG, other)
    assert fingerprint(tmp_path / "same") != first
    edit(folder, rope_theta=5.0)
    assert fingerprint(folder) != first


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"model_type": "gpt9"}, "model_type is 'gpt9'; supported: qwen2"),
        (
            {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}},
            "rope_type is 'yarn'; supported",
        ),
        ({"attention_bias": True}, "attention_bias"),
        ({"num_key_value_heads": 3}, "n_kv_heads 3"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; supported: 'silu'"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "layer_types"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers"),
        ({"model_type": ["qwen3"]}, r"model_type is \['qwen3'\]; supported"),
        ({"quantization_config": {"quant_method": "fp8"}}, "field quantization_config"),
        ({"num_attention_heads": 0}, "field num_attention_heads is 0; a whole number above 0"),
        ({"num_key_value_heads": 0}, "field num_key_value_heads is 0"),
        ({"head_dim": -8}, "field head_dim is -8"),
        ({"vocab_size": 0}, "field vocab_size is 0"),
        ({"max_position_embeddings": 0}, "field max_position_embeddings is 0"),
        ({"rms_norm_eps": -1.0}, "field rms_norm_eps is -1.0; a number above 0"),
        ({"rms_norm_eps": float("nan")}, "field rms_norm_eps is nan"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings"),
        ({"layer_types": ["sliding_attention"] * 2, "sliding_window": None}, "sliding_window"),
        ({"layer_types": ["sliding_attention"] * 2, "sliding_window": 0}, "sliding_window"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "rope_theta is 0"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": "x"}}, "rope_theta"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4}}, "factor"),
        ({"rope_parameters": "default"}, "config.json: "),
        ({"rope_parameters": []}, "config.json: "),
        ({"layer_types": 3}, "config.json: "),
        ({"is_causal": False}, "is_causal is False; supported"),
        ({"hidden_act": []}, "config.json: "),
    ],
)
def test_load_config_refuses_unsupported_models(folder, fields, word):
    edit(folder, **fields)
    with pytest.raises(UserError, match=word) as e:
        load_pretrained(folder)
    assert str(folder) in str(e.value)


def test_load_refuses_damaged_folders(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"tensor model\.norm\.weight is missing"):
        load_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
        load_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no \.safetensors file"):
        load_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not valid JSON"):
        load_pretrained(folder)
    with pytest.raises(UserError, match="no such file"):
        fingerprint(folder / "none")


@pytest.mark.parametrize("text", ["[]", "null", "3", '"x"', "[" * 100_000, '{"a": ' * 3000, ""])
def test_load_refuses_a_config_that_is_no_object(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: (holds a JSON|not valid JSON)"):
        load_pretrained(folder)


def test_load_refuses_a_config_that_is_nested_too_deep_or_is_a_folder(folder):
    deep = '"x": ' + "[" * 900 + "]" * 900
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"model_type"', f'{deep}, "model_type"'))
    with pytest.raises(UserError, match=r"config\.json"):
        load_pretrained(folder)
    path.unlink()
    path.mkdir()
    for read in (load_pretrained, fingerprint):
        with pytest.raises(UserError, match=r"config\.json: cannot be read \(Is a directory\)"):
            read(folder)


def test_load_refuses_shapes_that_contradict_the_config(folder):
    edit(folder, intermediate_size=64)
    with pytest.raises(UserError, match=r"_proj.* has shape"):
        load_pretrained(folder)
