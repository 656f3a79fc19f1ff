"""What a model sees in pictures that nobody has learnt from, and whether it can still read."""

import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from duomem_jax.evals.stats import wilson
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.report.table import markdown_table, percent
from duomem_jax.speak.open import Local, load_speaker
from duomem_jax.speak.protocol import Sampling
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.seer.lessons import SYSTEM
from duomem_jax.tiny.seer.train import replies_loss
from duomem_jax.tiny.seer.words import Words
from duomem_jax.worlds.pictures import render

MAX_NEW = 12
ROWS = 64  # of lessons without a picture
OTHERS = 1_000_000  # from this dialogue on nobody learns


@dataclass(frozen=True)
class _Question:
    """One question about a held-out picture.

    Attributes:
        kind: of the picture.
        key: the answer.
        messages: what the model is asked.
    """

    kind: str
    key: str
    messages: Chat


def score(folder: str, pictures: int, seed: int = 0) -> str:
    """Ask a model about held-out pictures, each question alone; a table by kinds.

    Args:
        folder: of the model.
        pictures: how many.
        seed: of the pictures.

    Raises:
        UserError: the folder is damaged, or its model does not see.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place:
        asked = [q for i in range(pictures) for q in _questions(Path(place), seed, i)]
        speaker = load_speaker(folder, Local(max_len=256))
        replies = speaker.reply([q.messages for q in asked], Sampling(MAX_NEW))
        for question, reply in zip(asked, replies, strict=True):
            said = reply.text.strip() if reply else ""
            right[question.kind].append(said == question.key)
    everything = [hit for hits in right.values() for hit in hits]
    rows = [
        (name, f"{len(hits):,}", percent(wilson(sum(hits), len(hits))))
        for name, hits in [*sorted(right.items()), ("all", everything)]
    ]
    return markdown_table(("pictures", "questions", "right % [95 % CI]"), rows)


def words_loss(folder: str | os.PathLike) -> float:
    """Nats a reply token on lessons of the listener that neither it nor a seer has learnt from.

    Raises:
        UserError: the folder is damaged.
    """
    (config, params), words = load_pretrained(folder, "float32"), Words(load_tokenizer(folder))
    rows = [words.batch(OTHERS + i) for i in range(ROWS)]
    batch = jax.tree.map(lambda *x: np.concatenate(x), *rows)
    return float(replies_loss(Model(config), params, batch).mean)


def _questions(folder: Path, seed: int, index: int) -> list[_Question]:
    picture = render(seed, index, held_out=True)
    file = folder / f"{index}.png"
    picture.image.save(file)
    shown = chat.picture(str(file))
    return [
        _Question(
            picture.kind,
            asked.answer,
            [chat.system(SYSTEM), chat.user([shown, chat.text(asked.text)])],
        )
        for asked in picture.asked
    ]
