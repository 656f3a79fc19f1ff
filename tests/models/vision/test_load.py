"""Folders of models that see: what is read, in all spellings, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from seeing import IMAGE, SIDE, made_up

from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import RULES, make_mesh
from duomem_jax.models.axes import mesh_shardings
from duomem_jax.models.families import SEEING
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.merge import PictureFeatures, picture_index
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.models.vision.processor import load_processor

only = pytest.mark.parametrize("seeing", ["internvl"], indirect=True)
TOWER = TowerConfig(16, 4, 8, 2, 2, 12, class_token=True, layer_scale=0.1)
CONFIG = VisionConfig("internvl", TOWER, ProjectorConfig(2, 24, mlp=True), 5)


@pytest.fixture
def folder(seeing, tmp_path):
    """A copy of a model's folder, to be changed."""
    for file in seeing.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def edit(path, part="", **fields):
    whole = json.loads(path.read_text())
    (whole[part] if part else whole).update(fields)
    path.write_text(json.dumps(whole))


def renamed(folder, *pairs):
    """The weights of a folder under other names: the first of `pairs` that a name begins with."""
    path, out = folder / "model.safetensors", {}
    for name, tensor in load_file(path).items():
        old, new = next(((a, b) for a, b in pairs if name.startswith(a)), ("", ""))
        out[new + name.removeprefix(old)] = tensor
    save_file(out, path)
    return out


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("seeing", ["internvl", "internvl-other"], indirect=True)
def test_both_spellings_are_read(folder):
    vision, decoder = load_vision(folder), load_pretrained(folder)
    parts = {"language_model", "vision_tower", "multi_modal_projector"}
    assert {name.split(".")[0] for name in renamed(folder)} == parts
    modules = renamed(
        folder,
        ("language_model.model.", "model.language_model."),
        ("language_model.lm_head.", "lm_head."),
        ("vision_tower.", "model.vision_tower."),
        ("multi_modal_projector.", "model.multi_modal_projector."),
    )
    assert {name.split(".")[1] for name in modules if name != "lm_head.weight"} == parts
    equal(load_vision(folder)[1], vision[1])
    assert load_pretrained(folder)[0] == decoder[0]
    equal(load_pretrained(folder)[1], decoder[1])
    # Both at once are two models.
    twice = {"language_model.model.norm.weight": np.ones(48, np.float32)}
    save_file(twice, folder / "b.safetensors")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    with pytest.raises(UserError, match="use the files of one model"):
        load_pretrained(folder)


def test_fresh_parameters_have_the_form_of_loaded_ones(seeing):
    config, params = load_vision(seeing.folder)
    assert params["tower"]["patches"]["filter"].dtype == jnp.float32
    fresh = jax.eval_shape(VisionModel(config).init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, params)


def features_of(config, params):
    tiles = np.random.default_rng(0).normal(size=(2, *[config.tower.image_size] * 2, 3))
    return jax.jit(VisionModel(config).features)(params, tiles)


def test_fresh_models_see():
    params = jax.jit(VisionModel(CONFIG).init)(jax.random.key(0))
    features = features_of(CONFIG, params)
    assert features.shape == (2, CONFIG.tile_tokens, 24)
    assert np.abs(features[0] - features[1]).max() > 1e-4
    assert float(params["tower"]["layers"]["mlp_scale"][0, 0]) == pytest.approx(0.1)


@only
def test_bfloat16_is_near(seeing):
    config, params = load_vision(seeing.folder, "bfloat16")
    assert config.dtype == "bfloat16"
    assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.bfloat16.dtype}
    near, exact = features_of(config, params), features_of(*load_vision(seeing.folder))
    assert near.dtype == jnp.bfloat16
    assert np.abs(near - exact).mean() < 0.05 * np.abs(exact).mean()


def test_tower_and_projector_can_be_split_over_a_mesh():
    model = VisionModel(CONFIG)
    shardings = mesh_shardings(model.logical_axes(), make_mesh(MeshConfig(1, 2, 2), 4), RULES)
    shard = jax.tree.map(lambda s, x: s.shard_shape(x.shape), shardings, model.shapes())["params"]
    assert shard["tower"]["layers"]["mlp"]["up_proj"]["kernel"] == (2, 4, 6)
    assert shard["tower"]["patches"]["filter"] == (4, 3, 4, 4)
    assert shard["projector"]["up_proj"]["kernel"] == (16, 12)


@only
def test_gradients_reach_the_pixels_filter_and_equal_those_of_torch(seeing):
    import torch

    (config, params), (vision, sight) = load_pretrained(seeing.folder), load_vision(seeing.folder)
    rng = np.random.default_rng(0)
    tokens = np.array([[3, *[IMAGE] * 9, 7, 9, 11]], np.int32)
    tiles = rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    weight_D = rng.normal(size=config.d_model).astype(np.float32)
    model, index = Model(config), picture_index(tokens, IMAGE)
    positions, ones = np.arange(tokens.shape[1])[None], np.ones_like(tokens)

    @jax.jit
    @jax.grad
    def gradient(sight):
        features_BTD = VisionModel(vision).features(sight, tiles)
        pictures = PictureFeatures(features_BTD, jnp.asarray(index))
        return (model.hidden(params, tokens, positions, ones, pictures=pictures) @ weight_D).sum()

    got = gradient(sight)
    seeing.model.zero_grad()
    whole = seeing.model.model(
        input_ids=torch.tensor(tokens).long(),
        pixel_values=torch.tensor(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))),
    )
    (whole.last_hidden_state @ torch.tensor(weight_D)).sum().backward()
    family = SEEING["internvl"]
    named = ((f"model.{name}", p.grad) for name, p in seeing.model.model.named_parameters())
    want = {family.naming.read(name): gradient for name, gradient in named}
    for weight in family.weights(vision):
        ours = got
        for key in weight.path:
            ours = ours[key]
        stacked = "{l}" in weight.hf
        for i in range(vision.tower.n_layers if stacked else 1):
            theirs = want[weight.hf.format(l=i)].numpy()
            theirs = theirs.reshape(theirs.shape[weight.ones :])
            theirs = theirs.T if weight.transpose else theirs
            mine = ours[i] if stacked else ours
            limit = 1e-4 * max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(mine, theirs, atol=limit, err_msg=weight.hf)


@only
def test_a_decoder_written_alone_is_a_model_of_its_own(seeing, tmp_path):
    config, base = load_pretrained(seeing.folder)
    assert config.family == "qwen2"
    save_pretrained(tmp_path, config, base, base=seeing.folder)
    found, again = load_pretrained(tmp_path)
    assert found == config
    equal(again, base)
    with pytest.raises(UserError, match="'qwen2', a model that does not see; supported: smolvlm"):
        load_vision(tmp_path)


@only
@pytest.mark.parametrize(
    ("part", "fields", "words"),
    [
        ("text_config", {"model_type": "gpt2"}, "model_type is 'gpt2'; supported: 'qwen2'"),
        ("vision_config", {"use_qk_norm": True}, "use_qk_norm is True; supported: False"),
        ("vision_config", {"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ("vision_config", {"norm_type": "batch_norm"}, "norm_type is 'batch_norm'"),
        (
            "vision_config",
            {"image_size": [24, 20]},
            r"image_size is \[24, 20\]; supported: squares",
        ),
        ("vision_config", {"patch_size": [5, 5]}, "image_size is 24, not a multiple"),
        ("vision_config", {"num_attention_heads": 5}, "hidden_size is 32, not a multiple"),
        ("vision_config", {"image_size": [2**40] * 2}, "patches a side, where 256 are supported"),
        ("vision_config", {"num_hidden_layers": 2**62}, "num_hidden_layers is 4611686018427387904"),
        ("vision_config", {"num_channels": 1}, "num_channels is 1; supported: 3"),
        ("vision_config", {"hidden_size": 48}, "has shape"),
        ("vision_config", {"attention_bias": False}, "has no place"),
        ("", {"downsample_ratio": 0.25}, "6 patches a side cannot be joined 4 by 4"),
        ("", {"downsample_ratio": 0.4}, "downsample_ratio is 0.4; supported: 1 divided"),
        ("", {"downsample_ratio": 0.0}, "downsample_ratio is 0.0"),
        ("", {"image_token_id": 97}, "image_token_id is 97; a token of the decoder"),
        ("", {"vision_feature_layer": -2}, "vision_feature_layer"),
        ("", {"vision_config": 3}, "config.json: "),
    ],
)
def test_other_models_are_refused(folder, part, fields, words):
    edit(folder / "config.json", part, **fields)
    load = load_pretrained if part == "text_config" else load_vision
    with pytest.raises(UserError, match=words) as e:
        load(folder)
    assert str(folder) in str(e.value)


@only
def test_tensors_that_are_missing_or_have_no_place_are_named_as_files_have_them(folder):
    path = folder / "model.safetensors"
    whole = load_file(path)
    for load, name in (
        (load_pretrained, "language_model.model.norm.weight"),
        (load_vision, "vision_tower.embeddings.cls_token"),
    ):
        save_file({k: v for k, v in whole.items() if k != name}, path)
        with pytest.raises(UserError, match=rf"tensor {name} is missing"):
            load(folder)
    save_file(whole | {"model.ear.weight": np.ones(3, np.float32)}, path)
    for load in (load_pretrained, load_vision):
        with pytest.raises(UserError, match=r"tensor model\.ear\.weight has no place"):
            load(folder)


def test_processors_are_read_from_both_files(folder, tmp_path):
    made_up((150, 31)).save(tmp_path / "x.png")
    old = load_processor(folder).tiles(tmp_path / "x.png")
    assert old.grid.tiles > 1
    assert load_processor(folder, split=False).tiles(tmp_path / "x.png").grid.tiles == 1
    fields = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps({"image_seq_len": 9}))
    equal(load_processor(folder).tiles(tmp_path / "x.png").pixels_Bhwc, old.pixels_Bhwc)
    other = fields | {"image_mean": [0.25, 0.5, 0.75]}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": other}))
    new = load_processor(folder)
    assert new.recipe.mean == (0.25, 0.5, 0.75)
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config\.json: no such file"):
        load_processor(folder)


@only
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": {"height": 28, "width": 28}}, "tiles of 28 pixels a side, and the tower"),
        ({"size": {"height": 24, "width": 20}}, "field size is"),
        ({"size": {"longest_edge": 24}}, "field size is"),
        ({"size": 24}, "field size is 24"),
        ({"size": {"height": "x", "width": "x"}}, "field height is 'x'"),
        ({"image_mean": [0.5, 0.5]}, "field image_mean"),
        ({"image_std": [0.5, 0.5, 0]}, "field image_std is 0"),
        ({"resample": 0}, "field resample is 0"),
        ({"max_patches": 10**9}, "fields min_patches and max_patches"),
        ({"min_patches": 13}, "fields min_patches and max_patches"),
        ({"do_normalize": False}, "field do_normalize is False"),
        ({"image_processor_type": "CLIPImageProcessor"}, "field image_processor_type"),
        ({"rescale_factor": None}, "field rescale_factor"),
    ],
)
def test_other_processors_are_refused(folder, fields, words):
    edit(folder / "preprocessor_config.json", **fields)
    with pytest.raises(UserError, match=words) as e:
        load_processor(folder)
    assert str(e.value).startswith(f"{folder / 'preprocessor_config.json'}: ")


def test_pictures_that_do_not_fit_their_text_are_refused():
    tokens, features = np.array([[1, 5, 5, 2], [5, 1, 2, 3]]), [np.ones((2, 4)), np.ones((1, 4))]
    pictures = PictureFeatures.of(tokens, 5, features, room=3)
    assert pictures.features_BnD.shape == (2, 3, 4)
    assert pictures.index_BT.tolist() == [[-1, 0, 1, -1], [0, -1, -1, -1]]
    with pytest.raises(UserError, match="row 1: has 1 picture tokens and 2 features"):
        PictureFeatures.of(tokens, 5, [features[0], features[0]], room=3)
    with pytest.raises(UserError, match="row 0: has 2 picture tokens and there is room for 1"):
        PictureFeatures.of(tokens, 5, features, room=1)
