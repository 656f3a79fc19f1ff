"""The listener before training: tokenizer, shape, an embedding that knows spelling and numbers.

`may`, ` may` and ` May` begin near each other, and so do 7 and 8: what is copied to the start of a
sentence, or counted on from a day, is then known to be like what it was made from.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from duomem_jax.base.io import atomic_dir
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.rope import Rope
from duomem_jax.records.chat import text_of
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.listener.copying import compose_copying
from duomem_jax.tiny.listener.lessons import lessons
from duomem_jax.tiny.listener.tokenizer import save_tokenizer
from duomem_jax.tiny.start import STD
from duomem_jax.worlds.dialogues.generate.dates import DAYS, MONTHS

MAX_LENGTH = 4096  # tokens of a conversation; those of the lessons are shorter
VOCABULARY = 2368  # rows of the embedding; a few more than the tokenizer has
READ = 400  # dialogues that the tokenizer is learnt from
_PERIODS = (3, 7, 12, 31)  # of the waves that a number's embedding is made of
_SMALL = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)


def shape() -> ModelConfig:
    """Its shape: Qwen3's architecture."""
    return ModelConfig(
        family="qwen3",
        vocab_size=VOCABULARY,
        d_model=128,
        n_layers=4,
        n_heads=4,
        n_kv_heads=2,
        head_dim=64,
        d_ff=384,
        rope=Rope(1_000_000.0),
        max_len=MAX_LENGTH,
    )


def compose(embedding_VD: np.ndarray, tokens: list[str], seed: int) -> np.ndarray:
    """Put near each other what is one word, or a number close by.

    Args:
        embedding_VD: a fresh embedding.
        tokens: text of each token.
        seed: of the vectors.
    """
    rng = np.random.default_rng(seed)
    part = STD / 2**0.5, embedding_VD.shape[1]
    spelt: dict[str, list[int]] = {}
    for i, token in enumerate(tokens):
        # A single byte may decode to no text.
        if token.strip() and "\ufffd" not in token:
            spelt.setdefault(token.strip().casefold(), []).append(i)
    waves = rng.normal(0, *(part[0], (len(_PERIODS), 2, part[1])))
    out_VD = embedding_VD.copy()
    for word, ids in sorted(spelt.items()):
        shared = rng.normal(0, *part)
        number = _number(word)
        if number is not None:
            angles = [2 * np.pi * number / period for period in _PERIODS]
            own = np.array([(np.cos(a), np.sin(a)) for a in angles])
            shared = (shared + np.einsum("pc,pcd->d", own, waves)) / len(_PERIODS) ** 0.5
        for i in ids:
            out_VD[i] = shared + embedding_VD[i] / 2**0.5
    return out_VD


def _number(word: str) -> int | None:
    """What a number, a day or a month counts."""
    for names in (_SMALL, tuple(d.casefold() for d in DAYS), tuple(m.casefold() for m in MONTHS)):
        if word in names:
            return names.index(word)
    return int(word) if word.isascii() and word.isdigit() else None


def write_start(folder: str, seed: int = 0) -> str:
    """Write the untrained listener as a Hugging Face folder with its tokenizer.

    Returns one sentence on what was done; a folder that is there is reused.
    """
    if Path(folder).exists():
        return f"{folder}: already there, reused"
    config = shape()
    fresh = jax.device_get(Model(config).init(jax.random.key(seed)))
    params: dict[str, Any] = jax.tree.map(np.array, fresh)
    # Made-up words alone, so that no training name is one token.
    texts = (
        text_of(message) for i in range(READ) for lesson in lessons(i, 1.0) for message in lesson
    )
    with atomic_dir(folder) as tmp:
        save_tokenizer(tmp, texts, max_length=MAX_LENGTH)
        tokenizer = load_tokenizer(tmp)
        tokens = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        params["embedding"] = compose(params["embedding"], tokens, seed)
        compose_copying(params, config, STD, seed)
        save_pretrained(tmp, config, params)
    return f"{folder}: {config}"
