"""Adapters against the real PEFT package, both ways."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import ALWAYS, PARAMS, make_model

from duomem_jax.base.errors import UserError
from duomem_jax.lora.peft import load_adapter, save_adapter
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import fingerprint, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

TOKENS = np.arange(24)[None] * 5 % 61
LORA = LoraConfig(3, 5.0, ("q_proj", "k_proj", "o_proj", "up_proj"), dropout=0.1)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    config = ModelConfig("qwen3", 61, 32, 2, 4, 2, 8, 48, tied=False)
    save_pretrained(folder, config, jax.jit(Model(config).init)(jax.random.key(0)))
    return folder


def random_like(tree):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(0, 0.2, x.shape).astype(np.float32), tree)


def our_logits(model, base, lora):
    x = model.hidden(base, TOKENS, jnp.arange(24)[None], np.ones_like(TOKENS), lora)
    return np.asarray(model.head(base)(x))


def torch_logits(torch_model):
    import torch

    with torch.no_grad():
        return torch_model.eval()(torch.tensor(TOKENS)).logits.numpy()


@pytest.fixture(scope="module", params=PARAMS)
def family(request, tmp_path_factory):
    """(folder, config, parameters) of a random model of a family."""
    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp(request.param)
    make_model(request.param, folder, std=0.05)
    return folder, *load_pretrained(folder)


def torch_model(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")


def test_peft_opens_a_saved_adapter(family, tmp_path):
    import peft

    folder, config, base = family
    model = Model(config, LORA)
    lora = random_like(model.shapes()["lora"])
    save_adapter(tmp_path / "a", lora, LORA, fingerprint(folder), base_name=str(folder))
    wrapped = peft.PeftModel.from_pretrained(torch_model(folder), tmp_path / "a")
    ours = our_logits(model, base, lora)
    np.testing.assert_allclose(torch_logits(wrapped), ours, atol=1e-5)
    with wrapped.disable_adapter():
        assert np.abs(ours - torch_logits(wrapped)).max() > 0.1
    again, found = load_adapter(tmp_path / "a", Model(config), fingerprint(folder))
    assert found == LORA
    jax.tree.map(np.testing.assert_array_equal, again, lora)


TWO = {"r": 2, "lora_alpha": 8, "target_modules": ["v_proj", "down_proj"]}
ALL = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "use_rslora": True}


@pytest.mark.parametrize(
    ("family", "theirs"),
    [("qwen3", TWO), *((name, ALL) for name in ALWAYS)],
    indirect=["family"],
    ids=["qwen3, two targets", *ALWAYS],
)
def test_load_adapter_reads_an_adapter_of_peft(family, tmp_path, theirs):
    import peft
    import torch

    torch.manual_seed(0)
    folder, config, base = family
    adapter = peft.LoraConfig(**theirs, task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(torch_model(folder), adapter)
    for name, p in wrapped.named_parameters():
        if "lora_B" in name:
            p.data.normal_(0, 0.2)
    wrapped.save_pretrained(tmp_path / "theirs")
    lora, found = load_adapter(tmp_path / "theirs", Model(config), fingerprint(folder))
    assert (found.rank, found.alpha) == (theirs["r"], 8.0)
    assert found.rslora == theirs.get("use_rslora", False)
    ours = our_logits(Model(config, found), base, lora)
    np.testing.assert_allclose(ours, torch_logits(wrapped), atol=1e-5)


@pytest.fixture
def saved(base_folder, tmp_path):
    config, _ = load_pretrained(base_folder)
    lora = random_like(Model(config, LORA).shapes()["lora"])
    save_adapter(tmp_path / "a", lora, LORA, fingerprint(base_folder), base_name="b")
    return tmp_path / "a", config, fingerprint(base_folder)


def test_load_adapter_refuses_another_base(saved):
    folder, config, _ = saved
    with pytest.raises(UserError, match=r"duomem\.json: base_fingerprint .* use the base"):
        load_adapter(folder, Model(config), "0" * 64)


def test_load_adapter_refuses_another_shape_without_a_fingerprint(saved):
    folder, _, _ = saved
    (folder / "duomem.json").unlink()
    wider = ModelConfig("qwen3", 61, 48, 2, 4, 2, 8, 48)
    with pytest.raises(UserError, match="does not fit the base"):
        load_adapter(folder, Model(wider), "any")


def test_load_adapter_refuses_a_layer_of_another_shape(saved):
    from safetensors.numpy import load_file, save_file

    folder, config, base_id = saved
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    last = max(tensors)
    save_file(tensors | {last: tensors[last][:, :1].copy()}, file)
    with pytest.raises(UserError, match="does not fit the base"):
        load_adapter(folder, Model(config), base_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [("use_dora", True), ("r", "x"), ("target_modules", ["wq"]), ("modules_to_save", ["lm_head"])],
)
def test_load_adapter_refuses_unsupported_adapters(saved, field, value):
    folder, config, base_id = saved
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(UserError):
        load_adapter(folder, Model(config), base_id)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_load_adapter_names_damaged_files(saved, name):
    folder, config, base_id = saved
    (folder / name).write_bytes(b"{")
    with pytest.raises(UserError, match=name):
        load_adapter(folder, Model(config), base_id)
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        load_adapter(folder, Model(config), base_id)
