"""A cache that grows with its conversations against one that has all its room at once."""

import jax
import numpy as np
import pytest

from duomem_jax.decode import pages
from duomem_jax.decode.generator import Generator
from duomem_jax.lora.tree import Adapter, stack
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, model_shardings, use_mesh
from duomem_jax.models.cache import token_bytes
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

MODEL = Model(ModelConfig("qwen3", 24, 16, 1, 4, 2, 8, 24, max_len=512), LoraConfig(2, 4.0))
SIZES = {"slots": 5, "max_len": 500, "eos_id": 3, "max_new": 12, "group": 2, "chunk": 32}


def random_like(tree, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), tree)


@pytest.fixture(scope="module")
def base():
    return random_like(MODEL.shapes()["params"], 0)


def talk(generator, adapters=(0,)):
    """Turns of several lengths, a row that is used again, rows that wait; every reply."""
    rng = np.random.default_rng(1)
    for slot in range(5):
        generator.reset(slot, seed=slot, adapter=adapters[slot % len(adapters)])
    said = []
    for lengths in ({0: 5, 1: 130, 4: 7}, {0: 260, 1: 3}, {2: 40, 3: 1, 4: 300}, {0: 100, 4: 9}):
        said.append(
            generator.extend({s: rng.integers(4, 24, n).tolist() for s, n in lengths.items()})
        )
    generator.reset(0, seed=9, adapter=adapters[-1])
    generator.read({0: [5, 6], 2: [7] * 20})
    # In pieces, while the others wait.
    said += [generator.write([0, 2], piece=5)]
    return said


@pytest.fixture
def both(monkeypatch):
    """Makes two generators: one that begins with few pages, one with all."""

    def make(*args, **kwargs):
        made = []
        for small in (0, 1 << 40):
            monkeypatch.setattr(pages, "SMALL", small)
            made.append(Generator(*args, **SIZES | kwargs))
        return made

    return make


def test_growth_changes_no_reply(both, base):
    growing, whole = both(MODEL, base, temperature=1.5)
    first, most = growing._rows.pages.count, whole._rows.pages.count
    assert (first, most) == (4, 5 * 4)  # pages of 128 tokens
    said = talk(growing)
    assert said == talk(whole)
    assert first < growing._rows.pages.count < most
    assert whole._rows.pages.count == most


def test_growth_changes_no_reply_of_a_stack_of_adapters(both, base):
    loras = [Adapter(random_like(MODEL.shapes()["lora"], seed), MODEL.lora) for seed in (1, 2)]
    lora, config = stack(loras)
    growing, whole = both(MODEL.with_lora(config), base, lora)
    said = talk(growing, adapters=(0, 1))
    assert said == talk(whole, adapters=(0, 1))
    assert said != talk(whole, adapters=(1, 0))


@pytest.mark.parametrize(
    ("mesh", "current"), [(MeshConfig(1, 2, 1), False), (MeshConfig(1, 1, 2), True)]
)
def test_weights_on_two_devices_write_the_same(both, base, mesh, current):
    """Also where a mesh is current, whose rules would lay the cache out otherwise."""
    mesh = make_mesh(mesh, 2, devices=jax.devices()[:2])
    with use_mesh(mesh):
        placed = jax.device_put(base, model_shardings(MODEL, mesh)["params"])
    alone, _ = both(MODEL, base)
    said = talk(alone)
    if current:
        with use_mesh(mesh):
            assert talk(both(MODEL, placed)[0]) == said
    else:
        assert talk(both(MODEL, placed)[0]) == said


def test_a_row_holds_pages_for_its_own_tokens_and_gives_them_back(both, base):
    growing, _ = both(MODEL, base)
    growing.extend({0: [5] * 400, 1: [5] * 4})
    held = growing._rows.pages
    assert [len(table) for table in held._tables] == [4, 1, 0, 0, 0]
    count = held.count
    assert count < 2 * 5
    growing.reset(0)
    growing.extend({2: [5] * 400})  # in the same pages
    assert held.count == count
    assert sorted(sum(held._tables, held._free)) == list(range(count))


def test_bytes_are_those_of_the_arrays(both, base):
    growing, _ = both(MODEL, base)
    layers = growing._rows.pages._layers
    taken = sum(x.nbytes for x in jax.tree.leaves(layers))
    assert taken == 4 * pages.PAGE * token_bytes(MODEL.config)
