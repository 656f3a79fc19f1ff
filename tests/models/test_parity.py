"""The decoder against transformers' own models on the same weights, for every family."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model

MAX_LEN = 96  # tokens of the cache


def torch_logits(torch_model, tokens_T):
    import torch

    with torch.no_grad():
        return torch_model(torch.tensor(tokens_T)[None].long()).logits[0].numpy()


class Loaded(NamedTuple):
    model: Model
    base: dict
    torch_model: Any
    hidden: Any  # jitted, with the parameters: equal shapes are compiled once for all tests
    extend: Any
    head: Any

    def logits(self, *args):
        return np.asarray(self.head(self.hidden(*args)))


@pytest.fixture(scope="module")
def loaded(hf_folder):
    folder, torch_model = hf_folder
    config, base = load_pretrained(folder)
    model = Model(config)
    jitted = (functools.partial(jax.jit(f), base) for f in (model.hidden, model.extend))
    return Loaded(model, base, torch_model, *jitted, model.head(base))


def test_packed_row_equals_transformers_per_segment(loaded):
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
    logits = loaded.logits(tokens, positions, segments)
    for b, row in enumerate(lengths):
        at = 0
        for n in row:
            want = torch_logits(loaded.torch_model, tokens[b, at : at + n])
            np.testing.assert_allclose(logits[b, at : at + n], want, atol=1e-4, rtol=1e-4)
            at += n


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_batch_equals_transformers(loaded, side):
    import torch

    rng, T = np.random.default_rng(3), 80
    real = np.arange(T) < np.array([[80], [41], [9]])
    real = real[:, ::-1] if side == "left" else real
    tokens = np.where(real, rng.integers(1, 97, (3, T)), 0)
    positions = np.where(real, real.cumsum(1) - 1, 0)
    logits = loaded.logits(tokens, positions, real.astype(np.int32))
    with torch.no_grad():
        want = loaded.torch_model(
            torch.tensor(tokens),
            attention_mask=torch.tensor(real.astype(int)),
            position_ids=torch.tensor(positions),
        ).logits.numpy()
    np.testing.assert_allclose(logits[real], want[real], atol=1e-4, rtol=1e-4)


def test_greedy_replies_are_those_of_transformers(loaded):
    import torch

    prompt, n = [5, 17, 60, 3, 88, 41, 2], 64
    with torch.no_grad():
        want = loaded.torch_model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=n,
            min_new_tokens=n,
            do_sample=False,
            pad_token_id=0,
        )[0].tolist()

    cache, new, cached = loaded.model.init_cache(3, MAX_LEN), prompt, list(prompt)
    for _ in range(n):
        tokens = np.zeros((3, 11 if len(new) > 1 else 1), np.int32)
        tokens[1, : len(new)] = new
        x, cache = loaded.extend(cache, tokens, jnp.array([0, len(new), 0]))
        new = [int(loaded.head(x[1, len(new) - 1]).argmax())]
        cached += new
    assert cached == want

    tokens, positions = np.zeros((3, 80), np.int32), np.tile(np.arange(80), (3, 1))
    tokens[0, : len(prompt)] = prompt
    for at in range(len(prompt), len(prompt) + n):
        x = loaded.hidden(tokens, positions, np.ones_like(tokens))
        tokens[0, at] = int(loaded.head(x[0, at - 1]).argmax())
    assert tokens[0, : len(want)].tolist() == want


def test_cache_with_ragged_rows_equals_transformers(loaded):
    rng = np.random.default_rng(1)
    rows = [list(rng.integers(0, 97, n)) for n in (23, 9, 15)]
    cache = loaded.model.init_cache(3, MAX_LEN)
    done = [0, 0, 0]
    got = [[], [], []]
    # prefill of different lengths, single tokens, a row that waits, a long second prefill
    for counts in ([11, 3, 7], [1, 1, 1], [0, 1, 0], [0, 0, 1], [11, 4, 6]):
        T = max(counts)
        tokens = np.full((3, T), 96, np.int32)
        for b, n in enumerate(counts):
            tokens[b, :n] = rows[b][done[b] : done[b] + n]
        x, cache = loaded.extend(cache, tokens, jnp.array(counts))
        logits = np.asarray(loaded.head(x))
        for b, n in enumerate(counts):
            got[b].extend(logits[b, :n])
            done[b] += n
    assert list(cache.length_B) == [23, 9, 15]
    for b in range(3):
        want = torch_logits(loaded.torch_model, rows[b])
        np.testing.assert_allclose(np.stack(got[b]), want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("hf_folder", ["gemma3_text"], indirect=True)
def test_extend_restarts_a_row_whose_length_is_zero(loaded):
    tokens, n = np.arange(33, dtype=np.int32).reshape(3, 11), jnp.array([11, 11, 11])
    x_first, cache = loaded.extend(loaded.model.init_cache(3, MAX_LEN), tokens, n)
    _, cache = loaded.extend(cache, tokens, n)
    cache = cache.with_length(jnp.zeros(3, jnp.int32))
    x_again, _ = loaded.extend(cache, tokens, n)
    np.testing.assert_allclose(x_first, x_again, atol=1e-6)


def test_saved_folder_opens_in_transformers(loaded, tmp_path):
    from transformers import AutoModelForCausalLM

    config, base = loaded.model.config, loaded.base
    save_pretrained(tmp_path, config, base)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    tokens = np.arange(20) * 3
    np.testing.assert_array_equal(
        torch_logits(again, tokens), torch_logits(loaded.torch_model, tokens)
    )
    found, params = load_pretrained(tmp_path)
    assert found == config
    np.testing.assert_array_equal(params["embedding"], base["embedding"])
