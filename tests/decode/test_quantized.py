"""Replies of a quantised base against those of its kernels as numpy dequantises them."""

import jax
import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.decode.generator import Generator
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shapes import weight_shapes

CONFIG = ModelConfig("qwen3", 40, 64, 1, 4, 2, 16, 128, max_len=256)
MODEL = Model(CONFIG, LoraConfig(2, 4.0))
# The 16 values of QLoRA, arXiv 2305.14314, appendix E.
NF4 = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)


def random_like(tree, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: (0.4 * rng.normal(size=x.shape)).astype("f"), tree)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_pretrained(folder, CONFIG, random_like(MODEL.shapes()["params"], 0))
    return folder


def in_numpy(leaf):
    """A kernel as numbers: codes times the scale of their output and group of inputs."""
    if isinstance(leaf, jax.Array):
        return np.asarray(leaf)
    codes, scale = np.asarray(leaf.qvalue), np.asarray(leaf.scale, np.float32)
    values = NF4[codes.astype(int)] if leaf.qtype == "nf4" else codes.astype(np.float32)
    return values * np.repeat(scale, values.shape[0] // scale.shape[0], axis=0)


def replies(config, base, lora):
    """Replies of some turns, and the logits of what would come next."""
    model = Model(config, MODEL.lora if lora else None)
    generator = Generator(model, base, lora, slots=3, max_len=256, eos_id=1, max_new=24, chunk=64)
    rng = np.random.default_rng(2)
    turns = ({0: 9, 1: 70, 2: 3}, {0: 4, 2: 60})
    said = [
        generator.extend({s: rng.integers(2, 40, n).tolist() for s, n in turn.items()})
        for turn in turns
    ]
    generator.reset(0)
    generator.read({0: [7, 8, 9]})
    return said, np.asarray(model.head(base)(generator._rows.x[0]))


@pytest.mark.parametrize(
    ("kind", "dtype", "adapted"),
    [("int8", "float32", False), ("nf4", "float32", True), ("nf4", "bfloat16", False)],
)
def test_replies_equal_those_of_the_dequantised_kernels(folder, kind, adapted, dtype):
    config, base = load_pretrained(folder, dtype, quantize=kind, decoding=True)
    lora = random_like(MODEL.shapes()["lora"], 1) if adapted else None
    # As `load_pretrained` gives them: arrays that lie where they are for good.
    assert all(x.committed for x in jax.tree.leaves(base))
    is_kernel = lambda x: hasattr(x, "qvalue")  # noqa: E731
    plain = jax.tree.map(in_numpy, base, is_leaf=is_kernel)
    said, logits = replies(config, base, lora)
    expected, near = replies(config, plain, lora)
    if dtype == "float32":
        assert said == expected
    # In bfloat16 a kernel is rounded when it is scaled, and numpy's once more or less.
    np.testing.assert_allclose(logits, near, atol={"float32": 1e-4, "bfloat16": 0.3}[dtype])


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_kernels_are_near_the_ones_they_stand_for(folder, kind):
    _, base = load_pretrained(folder, quantize=kind, decoding=True)
    _, exact = load_pretrained(folder, decoding=True)
    kernel, own = (x["layers_0"]["mlp"]["down_proj"]["kernel"] for x in (base, exact))
    error = np.abs(in_numpy(kernel) - np.asarray(own)).max() / np.abs(own).max()
    assert error < {"int8": 0.005, "nf4": 0.16}[kind]


def test_inputs_that_are_no_multiple_of_a_group_are_refused_by_their_shapes():
    """So that nothing has been read by then; 8 bits have no groups."""
    model = Model(ModelConfig("qwen3", 40, 48, 1, 4, 2, 16, 128))
    with pytest.raises(UserError, match=r"48 inputs, not a multiple of 64; use int8"):
        weight_shapes(model, "float32", "nf4")
    weight_shapes(model, "float32", "int8")
