"""Packed training rows of the tiny models' pretraining corpora."""

import os
from collections.abc import Callable, Iterator

from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.rows import Record, RowFormat
from duomem_jax.memory.show import render_guidelines
from duomem_jax.records.chat import Chat
from duomem_jax.records.lessons import Lesson
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.text.tokenizer import (
    chat_tokens,
    load_tokenizer,
    tokenizer_fingerprint,
    vocabulary_fingerprint,
)
from duomem_jax.text.turns import turn_messages
from duomem_jax.tiny.corpus import expert_lessons, general_lessons
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.generate import generate_games

CORPORA: dict[str, Callable[..., Iterator[Lesson]]] = {
    "teacher": expert_lessons,
    "student": general_lessons,
}
GAMES = {"teacher": 34_000, "student": 32_000}  # a corpus each, read about once
BLOCK = 2000  # games a unit
LENGTH = 1024  # T, tokens a row
FORM = RowFormat(LENGTH)
ROWS_SEED = 20_000_000  # far from the seeds of games that anybody plays


def lessons(name: str, block: int) -> Iterator[Lesson]:
    """One block of a corpus; it depends on the name and the block number alone."""
    # Even for the teacher, odd for the student: no two blocks share their games.
    seed = ROWS_SEED + block * 2 + (name == "student")
    return CORPORA[name](generate_games(BLOCK, seed), LocationPrior.default(), seed)


def messages(lesson: Lesson) -> Chat:
    """The conversation of a lesson, as an agent would have had it."""
    return turn_messages(lesson.turns, guidelines=render_guidelines(lesson.advice))


def write_rows(
    name: str, out: str | os.PathLike, tokenizer_folder: str | os.PathLike
) -> WriteReport:
    """Write the corpus `name` as packed rows; resumes where it stopped.

    Raises:
        UserError: an output folder of another config.
    """
    tokenizer = load_tokenizer(tokenizer_folder)
    spec = DatasetSpec(
        name="examples",
        layout=FORM.layout(),
        config={
            "corpus": name,
            "games": GAMES[name],
            "length": LENGTH,
            "tokenizer": tokenizer_fingerprint(tokenizer),
            "vocabulary": vocabulary_fingerprint(tokenizer),
        },
        seed=ROWS_SEED,
    )

    def make(keys: list[str]) -> Iterator[tuple[str, list[Record], dict[str, int]]]:
        for key in keys:
            block = list(lessons(name, int(key)))
            encoded = chat_tokens(tokenizer).conversations([messages(t) for t in block])
            packed = pack_examples([Conversation(e) for e in encoded], FORM)
            yield key, [FORM.record(row) for row in packed.rows], packed.counts

    keys = [f"{b:06d}" for b in range(GAMES[name] // BLOCK)]
    return write_dataset(out, keys, make, spec)
