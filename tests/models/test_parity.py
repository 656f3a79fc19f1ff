"""The decoder against transformers' own Qwen3 on the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.models.hf import load_pretrained, save_pretrained
from duomem_jax.models.model import Model


def torch_logits(torch_model, tokens_T):
    import torch

    with torch.no_grad():
        return torch_model(torch.tensor(tokens_T)[None].long()).logits[0].numpy()


@pytest.fixture(scope="module")
def loaded(hf_folder):
    folder, torch_model = hf_folder
    config, base = load_pretrained(folder)
    return Model(config), base, torch_model


def test_packed_row_equals_transformers_per_segment(loaded):
    model, base, torch_model = loaded
    rng = np.random.default_rng(0)
    lengths = [[300, 220], [7, 400]]  # crosses query blocks; the second row has padding
    T = 520
    tokens = np.zeros((2, T), np.int32)
    positions, segments = np.zeros((2, T), np.int32), np.zeros((2, T), np.int32)
    for b, row in enumerate(lengths):
        at = 0
        for s, n in enumerate(row):
            tokens[b, at : at + n] = rng.integers(0, 97, n)
            positions[b, at : at + n] = np.arange(n)
            segments[b, at : at + n] = s + 1
            at += n
    x = jax.jit(model.hidden)(base, tokens, positions, segments)
    logits = np.asarray(x @ model.head(base))
    for b, row in enumerate(lengths):
        at = 0
        for n in row:
            want = torch_logits(torch_model, tokens[b, at : at + n])
            np.testing.assert_allclose(logits[b, at : at + n], want, atol=1e-4, rtol=1e-4)
            at += n


def test_cache_with_ragged_rows_equals_transformers(loaded):
    model, base, torch_model = loaded
    rng = np.random.default_rng(1)
    rows = [list(rng.integers(0, 97, n)) for n in (23, 9, 15)]
    cache, extend = model.init_cache(3, 32), jax.jit(model.extend)
    done = [0, 0, 0]
    got = [[], [], []]
    # prefill of different lengths, single tokens, a row that waits, a long second prefill
    for counts in ([11, 3, 7], [1, 1, 1], [0, 1, 0], [0, 0, 1], [11, 4, 6]):
        T = max(counts)
        tokens = np.full((3, T), 96, np.int32)
        for b, n in enumerate(counts):
            tokens[b, :n] = rows[b][done[b] : done[b] + n]
        x, cache = extend(base, cache, tokens, jnp.array(counts, jnp.int32))
        logits = np.asarray(x @ model.head(base))
        for b, n in enumerate(counts):
            got[b].extend(logits[b, :n])
            done[b] += n
    assert list(cache["length"]) == [23, 9, 15]
    for b in range(3):
        want = torch_logits(torch_model, rows[b])
        np.testing.assert_allclose(np.stack(got[b]), want, atol=1e-4, rtol=1e-4)


def test_a_row_restarts_when_its_length_is_zero(loaded):
    model, base, _ = loaded
    tokens = np.arange(5, dtype=np.int32)[None]
    n = jnp.array([5])
    extend = jax.jit(model.extend)
    x_first, cache = extend(base, model.init_cache(1, 16), tokens, n)
    _, cache = extend(base, cache, tokens, n)
    cache["length"] = jnp.zeros(1, jnp.int32)
    x_again, _ = extend(base, cache, tokens, n)
    np.testing.assert_allclose(x_first, x_again, atol=1e-6)


def test_saved_folder_opens_in_transformers(loaded, tmp_path):
    from transformers import AutoModelForCausalLM

    model, base, torch_model = loaded
    save_pretrained(tmp_path, model.config, base)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = np.arange(20) * 3
    np.testing.assert_array_equal(torch_logits(again, tokens), torch_logits(torch_model, tokens))
    config, params = load_pretrained(tmp_path)
    assert config == model.config
    np.testing.assert_array_equal(params["embedding"], base["embedding"])
