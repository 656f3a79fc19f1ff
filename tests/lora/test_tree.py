"""Adapter trees against the definition: merged kernels give the same function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.lora.tree import Adapter, count, merge, stack
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

CONFIG = ModelConfig("qwen3", 61, 32, 2, 4, 2, 8, 48)
LORA = LoraConfig(rank=3, alpha=6.0, targets=("q_proj", "o_proj", "gate_proj", "down_proj"))


@pytest.fixture(scope="module")
def model():
    return Model(CONFIG, LORA)


@pytest.fixture(scope="module")
def trees(model):
    """Random parameters, and a fresh adapter."""
    base = draw(model.shapes()["params"], 0.2)
    return base, jax.jit(model.init_lora)(jax.random.key(1))


def draw(shapes, std):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(0, std, x.shape).astype(np.float32), shapes)


def hidden(model, base, lora=None):
    tokens = jnp.arange(20)[None] % 61
    return jax.jit(model.hidden)(base, tokens, jnp.arange(20)[None], jnp.ones((1, 20)), lora)


def test_fresh_adapter_changes_nothing(model, trees):
    base, lora = trees
    np.testing.assert_allclose(hidden(model, base, lora), hidden(model, base), atol=1e-5)
    assert any(np.any(x) for x in jax.tree.leaves(lora))


def test_adapter_form_equals_merged_form(model, trees):
    base, lora = trees
    lora = draw(lora, 0.1)
    adapted = hidden(model, base, lora)
    merged = hidden(Model(CONFIG), merge(base, lora, LORA))
    np.testing.assert_allclose(adapted, merged, atol=1e-5)
    assert np.abs(adapted - hidden(model, base)).max() > 1e-2


def test_adapter_has_the_paths_of_its_kernels_and_only_targets(model, trees):
    base, lora = trees
    assert set(lora["layers"]["self_attn"]) == {"q_proj", "o_proj"}
    assert set(lora["layers"]["mlp"]) == {"gate_proj", "down_proj"}
    for block, projections in lora["layers"].items():
        for name, leaf in projections.items():
            L, D, F = base["layers"][block][name]["kernel"].shape
            assert leaf["a"].shape == (L, D, 3)
            assert leaf["b"].shape == (L, 3, F)
    sizes = {"q": 32 * 3 + 3 * 32, "o": 32 * 3 + 3 * 32, "gate": 32 * 3 + 3 * 48}
    assert count(lora) == 2 * (sum(sizes.values()) + 48 * 3 + 3 * 32)


def test_an_adapter_without_a_config_is_refused(trees):
    base, lora = trees
    with pytest.raises(ValueError, match="LoraConfig"):
        hidden(Model(CONFIG), base, lora)


def test_stack_gives_each_row_its_own_adapter(trees):
    base, _ = trees
    configs = [
        LORA,
        LoraConfig(rank=2, alpha=8.0, targets=("v_proj", "down_proj"), rslora=True),
        LoraConfig(rank=5, alpha=5.0),
    ]
    models = [Model(CONFIG, config) for config in configs]
    adapters = [draw(m.shapes()["lora"], 0.1) for m in models]
    together, config = stack([Adapter(*pair) for pair in zip(adapters, configs, strict=True)])
    tokens = jnp.arange(80).reshape(4, 20) % 61
    inputs = tokens, jnp.tile(jnp.arange(20), (4, 1)), jnp.ones((4, 20))
    which = [2, 0, 1, 0]
    hidden = jax.jit(Model(CONFIG, config).hidden)
    rows = hidden(base, *inputs, together, adapter_B=jnp.array(which))
    for b, e in enumerate(which):
        alone = jax.jit(models[e].hidden)(base, *(x[b : b + 1] for x in inputs), adapters[e])
        np.testing.assert_allclose(rows[b], alone[0], atol=1e-5)


def test_dropout_changes_the_adapter_alone_and_keeps_its_mean(trees):
    base, _ = trees
    model = Model(CONFIG, LoraConfig(rank=3, alpha=6.0, targets=("down_proj",), dropout=0.5))
    lora = draw(model.shapes()["lora"], 0.1)
    none = jax.tree.map(np.zeros_like, lora)
    inputs = jnp.arange(20)[None] % 61, jnp.arange(20)[None], jnp.ones((1, 20))
    kept = jax.jit(lambda lora: model.hidden(base, *inputs, lora))
    drop = jax.jit(lambda lora, key: model.hidden(base, *inputs, lora, dropout_key=key))
    keys = jax.random.split(jax.random.key(0), 200)
    dropped = np.stack([drop(lora, key) for key in keys])
    plain = kept(lora)
    assert np.abs(dropped[0] - plain).max() > 1e-2
    np.testing.assert_array_equal(dropped[7], drop(lora, keys[7]))
    error = np.abs(dropped.mean(0) - plain)
    assert np.mean(error < 4 * dropped.std(0) / np.sqrt(len(dropped)) + 2e-2) > 0.98
    np.testing.assert_allclose(drop(none, keys[0]), kept(none), atol=1e-6)


def test_scale_of_rslora():
    assert LoraConfig(rank=16, alpha=32.0).scale == 2.0
    assert LoraConfig(rank=16, alpha=32.0, rslora=True).scale == 8.0
    assert LoraConfig(targets=("all-linear",)) == LoraConfig()


@pytest.mark.parametrize(
    "bad", [{"rank": 0}, {"targets": ("wq",)}, {"targets": ()}, {"dropout": 1.0}]
)
def test_lora_config_refuses_bad_fields(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        LoraConfig(**bad)
