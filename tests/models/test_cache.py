"""The key/value cache: what goes in comes out, whatever way it lies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, use_mesh
from duomem_jax.models.cache import KVCache, LayerPages
from duomem_jax.models.config import ModelConfig

CONFIG = ModelConfig("qwen3", 61, 32, 2, 4, 2, 8, 48)
B, S, K, H = 3, 10, CONFIG.n_kv_heads, CONFIG.head_dim


def filled():
    """A layer whose every slot is written, and its k_BSKH and v_BSKH."""
    k_BSKH, v_BSKH = np.random.default_rng(0).normal(size=(2, B, S, K, H)).astype(np.float32)
    layer = KVCache.empty(CONFIG, B, S).layers[0]
    return layer.append(k_BSKH, v_BSKH, jnp.tile(jnp.arange(S), (B, 1))), k_BSKH, v_BSKH


def assert_holds(layer, k_BSKH, v_BSKH):
    np.testing.assert_array_equal(layer.keys().transpose(0, 3, 1, 2), k_BSKH)
    np.testing.assert_array_equal(layer.values().transpose(0, 2, 1, 3), v_BSKH)


def test_append_writes_slots_and_drops_those_beyond_the_end():
    layer, k_BSKH, v_BSKH = filled()
    assert_holds(layer, k_BSKH, v_BSKH)
    new = np.full((B, 2, K, H), 7, np.float32)
    layer = layer.append(new, -new, jnp.array([[4, 5], [0, S], [S, S]]))
    for row, slot in ((0, 4), (0, 5), (1, 0)):
        k_BSKH[row, slot], v_BSKH[row, slot] = 7, -7
    assert_holds(layer, k_BSKH, v_BSKH)


def test_pages_give_back_what_was_put_and_drop_pages_out_of_range():
    """Against numpy: rows of S tokens in pages of J, some of them put back elsewhere."""
    J, count = S // 2, 7
    layer, k_BSKH, v_BSKH = filled()
    pages = LayerPages.empty(CONFIG, count, J)
    table_Bn = np.array([[4, 0], [6, count], [1, 3]])  # row 1 has one page
    pages = pages.put(table_Bn, np.zeros(B, np.int32), layer)
    found = pages.gather(table_Bn)
    for row, tokens in ((0, S), (1, J), (2, S)):
        np.testing.assert_array_equal(
            found.keys()[row, :, :, :tokens].T, k_BSKH[row, :tokens].transpose(0, 2, 1)
        )
        np.testing.assert_array_equal(
            found.values()[row, :, :tokens], v_BSKH[row, :tokens].transpose(1, 0, 2)
        )
    for untouched in (2, 5):
        assert not pages.k_nKHJ[untouched].any()
        assert not pages.v_nKJH[untouched].any()
    # The second page of row 0 alone, and nothing of the others.
    changed = pages.put(
        np.array([[0], [count], [count]]),
        np.array([1, 0, 0]),
        jax.tree.map(lambda x: 2 * x, layer),
    )
    expected = np.asarray(pages.v_nKJH).copy()
    expected[0] *= 2
    np.testing.assert_array_equal(changed.v_nKJH, expected)
    grown = changed.grown(count + 3)
    np.testing.assert_array_equal(grown.v_nKJH[:count], expected)
    assert grown.k_nKHJ.shape[0] == count + 3
    assert not grown.k_nKHJ[count:].any()


@pytest.mark.parametrize(("tensor", "keys"), [(2, (4, 1, H, S)), (4, (4, K, H, S))])
def test_shardings_split_rows_and_key_heads_where_they_can(tensor, keys):
    mesh = make_mesh(MeshConfig(data=1, fsdp=2, tensor=tensor), 8)
    with use_mesh(mesh):
        cache = KVCache.empty(CONFIG, 8, S)
        shardings = cache.shardings(mesh)
        placed = jax.device_put(cache, shardings)
    assert placed.layers[0].keys().addressable_shards[0].data.shape == keys
    assert placed.length_B.addressable_shards[0].data.shape == (4,)
