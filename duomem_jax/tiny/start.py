"""The tiny models before training: tokenizer, shape, and an embedding that knows what a name is.

`mug 2` is one token. It starts as the sum of a vector for mugs and one for twos, and the word `mug`
as the sum of the first and one for "no number", so that seeing that `mug 2` is a mug needs no
learning, for every kind of thing alike. Training is free to change that.
"""

import itertools
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from duomem_jax.base.io import atomic_dir
from duomem_jax.memory.show import GUIDELINES_HEADER
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.rope import Rope
from duomem_jax.records.chat import text_of
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.rows import CORPORA, lessons, messages
from duomem_jax.tiny.tokenizer import Vocabulary, save_tokenizer, vocabulary
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.household.made_up.verbs import made_up_words

MAX_LENGTH = 2048  # tokens of a conversation
VOCABULARY = 1088  # rows of the embedding; a few more than the tokenizer has
FEED_FORWARD = {"teacher": 512, "student": 256}  # F: what the teacher knows beyond the student
STD = 0.02  # of an embedding's entries


def shape(name: str) -> ModelConfig:
    """The shape of a tiny model: Qwen3's architecture."""
    return ModelConfig(
        family="qwen3",
        vocab_size=VOCABULARY,
        d_model=128,
        n_layers=4,
        n_heads=4,
        n_kv_heads=2,
        head_dim=32,
        d_ff=FEED_FORWARD[name],
        rope=Rope(10_000.0),
        max_len=MAX_LENGTH,
    )


def corpora_vocabulary() -> Vocabulary:
    """The vocabulary that both tiny models share, from a block of each corpus."""
    texts = [
        text_of(message)
        for name in CORPORA
        # What these lessons do not hold falls back to bytes.
        for lesson in itertools.islice(lessons(name, 0), 1500)
        for message in messages(lesson)
    ]
    made_up = [f" {word}" for word in made_up_words()] + made_up_words()
    real = [f" {word}" for word in ("clean", "hot", "cool", "heat", "look", "examine", "find")]
    # Twice, as a word counts from its second occurrence on.
    return vocabulary([*texts, GUIDELINES_HEADER, *(made_up + real) * 2])


def compose(embedding_VD: np.ndarray, tokens: list[str], seed: int) -> np.ndarray:
    """Replace the rows of things, `mug 2` and `mug`, by sums of a kind's and a number's vector.

    Args:
        embedding_VD: a fresh embedding.
        tokens: text of each token.
        seed: of the vectors.
    """
    rng = np.random.default_rng(seed)
    named = {
        i: m for i, token in enumerate(tokens) if (m := re.fullmatch(r" ([a-z]+) (\d+)", token))
    }
    # The sum of two has the size of a row that was drawn alone.
    part = STD / 2**0.5, embedding_VD.shape[1]
    # Sorted, as the order of a set of words differs from process to process.
    kinds = {kind: rng.normal(0, *part) for kind in sorted({m[1] for m in named.values()})}
    numbers = [rng.normal(0, *part) for _ in range(1 + max(int(m[2]) for m in named.values()))]
    out_VD = embedding_VD.copy()
    for i, token in enumerate(tokens):
        if i in named:
            out_VD[i] = kinds[named[i][1]] + numbers[int(named[i][2])]
        elif token.strip() in kinds:
            # numbers[0] is "no number": things count from 1.
            out_VD[i] = kinds[token.strip()] + numbers[0]
    return out_VD


def write_start(name: str, folder: str, seed: int = 0) -> str:
    """Write the untrained model `name` as a Hugging Face folder with its tokenizer.

    Returns one sentence on what was done; a folder that is there is reused.
    """
    if Path(folder).exists():
        return f"{folder}: already there, reused"
    config = shape(name)
    params: dict[str, Any] = jax.device_get(Model(config).init(jax.random.key(seed)))
    with atomic_dir(folder) as tmp:
        save_tokenizer(tmp, corpora_vocabulary(), max_length=MAX_LENGTH)
        tokenizer = load_tokenizer(tmp)
        # Single bytes may decode to no text at all, but they name nothing.
        tokens = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        params["embedding"] = compose(np.asarray(params["embedding"]), tokens, seed)
        save_pretrained(tmp, config, params)
    return f"{folder}: {config}"


def pretraining(name: str, steps: int) -> TrainConfig:
    """All parameters of the untrained model `name`, trained on its corpus."""
    return TrainConfig(
        base=f"runs/tiny/{name}-start",
        data=f"runs/tiny/{name}-rows",
        output=f"runs/tiny/{name}",
        trainable="all",
        # At a rate of 1e-2 the teacher learnt a fifth faster than at 5e-3.
        optimizer=OptimizerConfig(
            name="muon", learning_rate=1e-2, schedule="linear", warmup_steps=30
        ),
        steps=steps,
        global_batch=2,
        checkpoint_every=250,
    )
