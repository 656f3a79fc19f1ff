"""Adapter trees against the definition: merged kernels give the same function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.errors import UserError
from duomem_jax.lora.config import LoraConfig
from duomem_jax.lora.tree import count, init_lora, merge
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model

CONFIG = ModelConfig("qwen3", 61, 32, 2, 4, 2, 8, 48)
LORA = LoraConfig(rank=3, alpha=6.0, targets=("q_proj", "o_proj", "gate_proj", "down_proj"))


@pytest.fixture(scope="module")
def model():
    return Model(CONFIG, LORA)


@pytest.fixture(scope="module")
def trees(model):
    return jax.jit(model.init)(jax.random.key(0)), jax.jit(lambda k: init_lora(model, k))(
        jax.random.key(1)
    )


def hidden(model, base, lora=None):
    tokens = jnp.arange(20)[None] % 61
    return jax.jit(model.hidden)(base, tokens, jnp.arange(20)[None], jnp.ones((1, 20)), lora)


def noisy(lora):
    leaves, treedef = jax.tree.flatten(lora)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noise = [0.1 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(treedef, [x + n for x, n in zip(leaves, noise, strict=True)])


def test_fresh_adapter_changes_nothing(model, trees):
    base, lora = trees
    np.testing.assert_allclose(hidden(model, base, lora), hidden(model, base), atol=1e-5)
    assert any(np.any(x) for x in jax.tree.leaves(lora))


def test_adapter_form_equals_merged_form(model, trees):
    base, lora = trees
    lora = noisy(lora)
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


@pytest.mark.parametrize("bad", [{"rank": 0}, {"targets": ("wq",)}, {"targets": ()}])
def test_bad_config_is_one_sentence(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        LoraConfig(**bad)
