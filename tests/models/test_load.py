"""Weights straight onto their shards, in little memory, and quantised on the way."""

import functools
import subprocess
import sys
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, model_shardings
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import KINDS, Quantize, as_kernel
from duomem_jax.models.shapes import tree_bytes
from duomem_jax.models.trees import for_decoding
from duomem_jax.objectives import Batch, States, TextTargets, Tokens

CONFIG = ModelConfig("qwen2", 64, 64, 3, 4, 2, 16, 128, tied=False, qk_norm=False, attn_bias=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in three files, biases included."""
    folder = tmp_path_factory.mktemp("model")
    params = jax.jit(Model(CONFIG).init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.05 * rng.normal(size=x.shape), params)
    save_pretrained(folder, CONFIG, params)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for i in range(3):
        part = {name: tensors[name] for name in sorted(tensors)[i::3]}
        save_file(part, folder / f"model-{i + 1:05d}-of-00003.safetensors")
    return folder


def test_sharded_load_equals_whole_load(folder):
    model = Model(CONFIG)
    shardings = model_shardings(model, make_mesh(MeshConfig(1, 4, 2), 4))["params"]
    config, params = load_pretrained(folder, shardings=shardings)
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, params, load_pretrained(folder)[1])
    assert all(jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, params, shardings)))
    shard = params["layers"]["mlp"]["up_proj"]["kernel"].addressable_shards[0]
    assert shard.data.shape == (3, 64 // 4, 128 // 2)


@pytest.mark.parametrize("kind", ["", "nf4"])
def test_load_for_decoding_equals_for_decoding_of_a_load(folder, kind):
    _, stacked = load_pretrained(folder, quantize=kind)
    _, apart = load_pretrained(folder, quantize=kind, decoding=True)
    jax.tree.map(np.testing.assert_array_equal, apart, for_decoding(stacked))
    assert for_decoding(apart) is apart


@pytest.mark.parametrize("kind", list(KINDS))
def test_quantised_kernels_are_near_the_whole_ones(folder, kind):
    pytest.importorskip("qwix")
    shardings = model_shardings(Model(CONFIG), make_mesh(MeshConfig(1, 2, 2), 4))["params"]
    _, whole = load_pretrained(folder)
    _, params = load_pretrained(folder, shardings=shardings, quantize=kind)
    for block, name in (("self_attn", "q_proj"), ("mlp", "down_proj")):
        small, exact = (p["layers"][block][name]["kernel"] for p in (params, whole))
        error = np.abs(np.asarray(as_kernel(small, jnp.float32)) - exact)
        step = np.abs(exact).max(axis=1, keepdims=True) / (127 if kind == "int8" else 3)
        assert (error <= step).all()
        assert small.qvalue.shape == exact.shape
        assert small.qvalue.sharding == shardings["layers"][block][name]["kernel"]
    inputs = np.arange(32)[None] * 7 % 64, np.arange(32)[None], np.ones((1, 32))
    want, got = (np.asarray(jax.jit(Model(CONFIG).hidden)(p, *inputs)) for p in (whole, params))
    assert np.abs(got - want).mean() < (0.02 if kind == "int8" else 0.25)


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_bytes_are_those_that_xla_counts(folder, kind):
    _, params = load_pretrained(folder, quantize=kind)
    compiled = jax.jit(lambda tree: tree, keep_unused=True).lower(params).compile()
    assert tree_bytes(params) == compiled.memory_analysis().argument_size_in_bytes


def test_adapter_gradients_on_quantised_kernels_equal_those_on_dequantised_ones(folder):
    pytest.importorskip("qwix")
    _, small = load_pretrained(folder, quantize="nf4")
    whole = jax.tree_util.tree_map(
        lambda x: as_kernel(x, jnp.float32), small, is_leaf=lambda x: hasattr(x, "qvalue")
    )
    model = Model(CONFIG, LoraConfig(rank=2, alpha=4.0))
    rng = np.random.default_rng(1)
    lora = jax.tree.map(
        lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), model.shapes()["lora"]
    )
    tokens, ones = rng.integers(0, 64, (2, 32)), np.ones((2, 32), np.int32)

    @jax.jit
    @jax.value_and_grad
    def loss(lora, base):
        x_BTD = model.hidden(base, tokens, np.tile(np.arange(32), (2, 1)), ones, lora)
        batch = Batch(Tokens(tokens, ones, ones, ones > 0))
        return TextTargets().loss(States(x_BTD, model.head(base)), batch).total

    assert isinstance(whole["layers"]["mlp"]["up_proj"]["kernel"], jax.Array)
    (got, grads), (want, expected) = loss(lora, small), loss(lora, whole)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, grads, expected)
    for _ in range(20):
        _, grads = loss(lora, small)
        lora = jax.tree.map(lambda w, g: w - 0.003 * g, lora, grads)
    assert loss(lora, small)[0] < 0.95 * got


def test_quantize_names_every_kind():
    assert typing.get_args(Quantize) == ("", *KINDS)


def test_load_refuses_tensors_without_a_place(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_file(
        {"model.layers.0.mlp.gate_proj.bias": np.zeros(128, np.float32)}, tmp_path / "x.safetensors"
    )
    with pytest.raises(UserError, match=r"gate_proj\.bias has no place"):
        load_pretrained(tmp_path)


MEASURE = """
import resource, sys
import jax, jax.numpy as jnp
from duomem_jax.models.load import load_pretrained
import transformers, safetensors
transformers.CONFIG_MAPPING["qwen3"]
jnp.zeros(4).at[1].set(1.0).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
config, params = load_pretrained(sys.argv[1])
jax.block_until_ready(params)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_loading_needs_room_for_the_model_and_one_file(tmp_path):
    config = ModelConfig("qwen3", 8192, 512, 16, 8, 4, 64, 2048, tied=False)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: rng.random(x.shape, np.float32), Model(config).shapes()["params"]
    )
    save_pretrained(tmp_path, config, params)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    total, files = sum(t.nbytes for t in tensors.values()), [{} for _ in range(4)]
    for name in sorted(tensors, key=lambda n: -tensors[n].nbytes):
        smallest = min(files, key=lambda f: sum(t.nbytes for t in f.values()))
        smallest[name] = tensors[name]
    for i, part in enumerate(files):
        save_file(part, tmp_path / f"model-{i}.safetensors")
    one_file = max((tmp_path / f"model-{i}.safetensors").stat().st_size for i in range(4))
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(out.stdout) < total + 1.2 * one_file
