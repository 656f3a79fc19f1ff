"""Packed training rows of the listener's lessons."""

import os
from collections.abc import Iterator

from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.rows import Record, RowFormat
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.text.tokenizer import (
    chat_tokens,
    load_tokenizer,
    tokenizer_fingerprint,
    vocabulary_fingerprint,
)
from duomem_jax.tiny.listener.lessons import SEED, lessons

DIALOGUES = 4000  # read two to three times
BLOCK = 80  # dialogues a unit
LENGTH = 1024  # T, tokens a row


def write_rows(out: str | os.PathLike, tokenizer_folder: str | os.PathLike) -> WriteReport:
    """Write the lessons as packed rows; resumes where it stopped.

    Raises:
        UserError: an output folder of another config.
    """
    tokenizer, form = load_tokenizer(tokenizer_folder), RowFormat(LENGTH)
    spec = DatasetSpec(
        name="examples",
        layout=form.layout(),
        config={
            "corpus": "listener",
            "dialogues": DIALOGUES,
            "length": LENGTH,
            "tokenizer": tokenizer_fingerprint(tokenizer),
            "vocabulary": vocabulary_fingerprint(tokenizer),
        },
        seed=SEED,
    )

    def make(keys: list[str]) -> Iterator[tuple[str, list[Record], dict[str, int]]]:
        for key in keys:
            first = int(key) * BLOCK
            block = [
                lesson for i in range(first, min(first + BLOCK, DIALOGUES)) for lesson in lessons(i)
            ]
            encoded = chat_tokens(tokenizer).conversations(block)
            packed = pack_examples([Conversation(e) for e in encoded], form)
            yield key, [form.record(row) for row in packed.rows], packed.counts

    keys = [f"{b:06d}" for b in range(-(-DIALOGUES // BLOCK))]
    return write_dataset(out, keys, make, spec)
