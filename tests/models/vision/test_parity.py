"""Models that see against transformers' own on the same weights."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from seeing import IMAGE, SIDE, inputs, reference_logits

from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.merge import PictureFeatures
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.models.vision.projector import pixel_shuffle

ROWS, T, TILES = 3, 80, 7
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


class Loaded(NamedTuple):
    model: Model
    base: dict
    tile_tokens: int
    features: Any  # jitted, with the parameters: equal shapes are compiled once for all tests
    hidden: Any
    extend: Any
    head: Any

    def pictures(self, tokens_BT, tiles):
        """Pictures of some rows, from the tiles of each."""
        flat = np.concatenate([*tiles, np.zeros((TILES, SIDE, SIDE, 3), np.float32)])[:TILES]
        features = np.asarray(self.features(flat)).reshape(-1, self.model.config.d_model)
        ends = np.cumsum([len(own) * self.tile_tokens for own in tiles])
        own = np.split(features[: ends[-1]], ends[:-1])
        return PictureFeatures.of(tokens_BT, IMAGE, own, TILES * self.tile_tokens)


@pytest.fixture(scope="module")
def loaded(seeing):
    config, base = load_pretrained(seeing.folder)
    vision, params = load_vision(seeing.folder)
    model = Model(config)
    return Loaded(
        model,
        base,
        vision.tile_tokens,
        functools.partial(jax.jit(VisionModel(vision).features), params),
        functools.partial(jax.jit(model.hidden), base),
        functools.partial(jax.jit(model.extend), base),
        model.head(base),
    )


def random_tiles(rng, n):
    return rng.normal(size=(n, SIDE, SIDE, 3)).astype(np.float32)


def row(rng, *parts):
    """Tokens of a row: a number is that many words, a list the tokens of a picture's tiles."""
    tokens = []
    for part in parts:
        words = rng.integers(0, IMAGE, part if isinstance(part, int) else 0).tolist()
        tokens += words if isinstance(part, int) else part
    return np.array(tokens, np.int32)


def conversations(rng, tile_tokens):
    """Rows with one picture, with one in tiles and with several, and the tiles of each."""
    tile = [IMAGE] * tile_tokens
    rows = [
        row(rng, 5, tile, 9),
        # Each tile of a split picture has its own words around it; the overview is the last.
        row(rng, 3, tile, 2, tile, 2, tile, 7),
        row(rng, tile, 4, tile, tile, 6),  # two without a word between them
    ]
    return rows, [random_tiles(rng, n) for n in (1, 3, 3)]


def test_logits_equal_those_of_transformers(loaded, seeing):
    rows, tiles = conversations(np.random.default_rng(0), loaded.tile_tokens)
    tokens, segments = np.zeros((ROWS, T), np.int32), np.zeros((ROWS, T), np.int32)
    for b, own in enumerate(rows):
        tokens[b, : len(own)], segments[b, : len(own)] = own, 1
    positions = np.tile(np.arange(T, dtype=np.int32), (ROWS, 1))
    pictures = loaded.pictures(tokens, tiles)
    logits = np.asarray(loaded.head(loaded.hidden(tokens, positions, segments, pictures=pictures)))
    for b, own in enumerate(rows):
        want = reference_logits(seeing, own, tiles[b])
        np.testing.assert_allclose(logits[b, : len(own)], want, **CLOSE)
        # The picture counts: without it the words after it are others.
        assert np.abs(want[-1] - reference_logits(seeing, own, tiles[b][::-1] + 1)[-1]).max() > 0.01


def test_packed_conversations_have_their_own_pictures(loaded, seeing):
    rows, tiles = conversations(np.random.default_rng(1), loaded.tile_tokens)
    lengths = [len(own) for own in rows]
    joined = np.concatenate(rows)
    pad = 160 - len(joined)
    tokens = np.pad(joined, (0, pad))[None]
    segments = np.pad(np.repeat([1, 2, 3], lengths), (0, pad))[None]
    positions = np.pad(np.concatenate([np.arange(n) for n in lengths]), (0, pad))[None]
    pictures = loaded.pictures(tokens, [np.concatenate(tiles)])
    logits = np.asarray(loaded.head(loaded.hidden(tokens, positions, segments, pictures=pictures)))
    for own, tile, start in zip(rows, tiles, np.cumsum([0, *lengths]), strict=False):
        want = reference_logits(seeing, own, tile)
        np.testing.assert_allclose(logits[0, start : start + len(own)], want, **CLOSE)


def test_greedy_replies_are_those_of_transformers(loaded, seeing):
    import torch

    rows, tiles = conversations(np.random.default_rng(2), loaded.tile_tokens)
    prompt, n = rows[2], 24
    with torch.no_grad():
        want = seeing.model.generate(
            **inputs(seeing, prompt, tiles[2]),
            max_new_tokens=n,
            min_new_tokens=n,
            do_sample=False,
            pad_token_id=0,
        )[0].tolist()

    pictures = loaded.pictures(prompt[None], [tiles[2]])
    cache, said = loaded.model.init_cache(1, T), list(prompt)
    # In two parts: the second begins amid the pictures.
    for part in (slice(0, loaded.tile_tokens + 6), slice(loaded.tile_tokens + 6, None)):
        own = PictureFeatures(pictures.features_BnD, pictures.index_BT[:, part])
        new = prompt[None, part]
        x_BTD, cache = loaded.extend(cache, new, jnp.array([new.shape[1]]), pictures=own)
    for _ in range(n):
        said.append(int(loaded.head(x_BTD[0, -1]).argmax()))
        x_BTD, cache = loaded.extend(cache, np.array([[said[-1]]], np.int32), jnp.array([1]))
    assert said == want


def test_decoder_without_pictures_equals_transformers(loaded, seeing):
    import torch

    tokens = np.random.default_rng(3).integers(0, IMAGE, (1, 33)).astype(np.int32)
    with torch.no_grad():
        want = seeing.model(torch.tensor(tokens).long()).logits.numpy()
    x_BTD = loaded.hidden(tokens, np.arange(33)[None], np.ones_like(tokens))
    np.testing.assert_allclose(np.asarray(loaded.head(x_BTD)), want, **CLOSE)


@pytest.mark.parametrize(("side", "factor"), [(6, 2), (8, 4), (4, 4), (5, 1)])
def test_pixel_shuffle_equals_a_loop_and_both_of_transformers(side, factor):
    torch = pytest.importorskip("torch")
    from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector
    from transformers.models.internvl.modeling_internvl import InternVLModel

    B, D = 2, 3
    x_BTD = np.random.default_rng(0).normal(size=(B, side * side, D)).astype(np.float32)
    n = side // factor
    want = np.zeros((B, n * n, factor * factor * D), np.float32)
    for row in range(side):
        for column in range(side):
            token = row // factor * n + column // factor
            place = row % factor * factor + column % factor
            want[:, token, place * D : (place + 1) * D] = x_BTD[:, row * side + column]
    np.testing.assert_array_equal(pixel_shuffle(jnp.asarray(x_BTD), factor), want)

    given = torch.tensor(x_BTD)
    idefics = Idefics3Connector.pixel_shuffle(None, given, factor)
    intern = InternVLModel.pixel_shuffle(None, given.reshape(B, side, side, D), 1 / factor)
    np.testing.assert_array_equal(idefics, want)
    np.testing.assert_array_equal(intern.reshape(want.shape), want)
