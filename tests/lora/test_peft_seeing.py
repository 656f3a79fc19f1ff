"""Adapters of models that see against the real PEFT package on the whole model, both ways."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from seeing import IMAGE, SIDE, make_seeing, reference_logits

from duomem_jax.base.errors import UserError
from duomem_jax.lora.peft import WEIGHTS, load_adapter, save_adapter
from duomem_jax.models.hf import decoder_naming, fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.merge import PictureFeatures
from duomem_jax.models.vision.model import VisionModel

LORA = LoraConfig(3, 5.0, ("q_proj", "v_proj", "down_proj"))
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
# What the layers are called in files, and in transformers' modules where that is another name.
NAMES = {
    "smolvlm": ("model.text_model.", "model.text_model."),
    "internvl": ("language_model.model.", "model.language_model."),
}


@pytest.fixture(scope="module", params=list(NAMES))
def base(request, tmp_path_factory):
    """(name, torch's model, a row with one picture and its tile, ours with that picture)."""
    pytest.importorskip("peft")
    name = request.param
    reference = make_seeing(name, tmp_path_factory.mktemp(name))
    config, params = load_pretrained(reference.folder)
    vision, sight = load_vision(reference.folder)
    rng = np.random.default_rng(0)
    tile = rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    words = rng.integers(0, IMAGE, 12).tolist()
    row = np.array([*words[:5], *[IMAGE] * vision.tile_tokens, *words[5:]], np.int32)
    features = np.asarray(jax.jit(VisionModel(vision).features)(sight, tile))[0]
    pictures = PictureFeatures.of(row[None], IMAGE, [features], len(features))

    def ours(model, lora):
        T = len(row)
        x_BTD = model.hidden(
            params, row[None], np.arange(T)[None], np.ones((1, T), int), lora, pictures=pictures
        )
        return np.asarray(model.head(params)(x_BTD))[0]

    return name, reference, row, tile, Model(config), ours


def adapter_of(model):
    rng = np.random.default_rng(1)
    shapes = model.with_lora(LORA).shapes()["lora"]
    return jax.tree.map(lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes)


def fresh(reference):
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(
        reference.folder, attn_implementation="eager"
    ).eval()


def test_peft_opens_a_saved_adapter_on_the_whole_model(base, tmp_path):
    import peft

    name, reference, row, tile, model, ours = base
    lora, folder = adapter_of(model), tmp_path / "adapter"
    base_id, naming = fingerprint(reference.folder), decoder_naming(reference.folder)
    save_adapter(folder, lora, LORA, base_id, base_name=str(reference.folder), naming=naming)
    tensors = load_file(folder / WEIGHTS)
    assert all(key.startswith(f"base_model.model.{NAMES[name][0]}layers.") for key in tensors)
    wrapped = peft.PeftModel.from_pretrained(fresh(reference), folder).eval()
    adapted = [key for key, _ in wrapped.named_parameters() if "lora_A" in key]
    assert len(adapted) == len(LORA.targets) * model.config.n_layers
    want = reference_logits(reference._replace(model=wrapped), row, tile)
    found = ours(model.with_lora(LORA), lora)
    np.testing.assert_allclose(found, want, **CLOSE)
    assert np.abs(found - ours(model, None)).max() > 0.1
    again, config = load_adapter(folder, model, base_id, naming)
    assert config == LORA
    jax.tree.map(np.testing.assert_array_equal, again, lora)


def test_an_adapter_of_peft_is_read_in_both_namings(base, tmp_path):
    import peft
    import torch

    name, reference, row, tile, model, ours = base
    torch.manual_seed(0)
    theirs = peft.LoraConfig(
        r=2,
        lora_alpha=8,
        target_modules=["v_proj", "o_proj"],
        exclude_modules=r".*(vision_model|vision_tower).*",
        task_type="CAUSAL_LM",
    )
    wrapped = peft.get_peft_model(fresh(reference), theirs)
    for key, p in wrapped.named_parameters():
        if "lora_B" in key:
            p.data.normal_(0, 0.3)
    wrapped.eval().save_pretrained(tmp_path)
    want = reference_logits(reference._replace(model=wrapped), row, tile)
    naming, file = decoder_naming(reference.folder), tmp_path / WEIGHTS
    tensors = load_file(file)
    for spelled in NAMES[name]:
        renamed = {}
        for key, x in tensors.items():
            _, at, layer = key.partition("layers.")
            renamed[f"base_model.model.{spelled}{at}{layer}"] = x
        save_file(renamed, file)
        lora, config = load_adapter(tmp_path, model, fingerprint(reference.folder), naming)
        np.testing.assert_allclose(ours(model.with_lora(config), lora), want, **CLOSE)


def test_an_adapter_on_the_tower_is_refused(base, tmp_path):
    import peft

    _, reference, _, _, model, _ = base
    theirs = peft.LoraConfig(r=2, target_modules=["v_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(fresh(reference), theirs).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="adapts what stands before the decoder"):
        load_adapter(tmp_path, model, "any", decoder_naming(reference.folder))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["exclude_modules"] is None
