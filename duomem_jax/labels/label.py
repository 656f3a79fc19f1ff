"""The stage that adds a teacher's targets to packed rows."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.data.pack import VIEWS, Rows, row_layout
from duomem_jax.data.targets import Kind, target_layout
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset

# Rows labelled together: what a killed writer repeats at most. The same on every machine, since a
# run may be finished by another one.
BLOCK = 64


class Scorer(Protocol):
    """Who says how likely tokens are.

    Attributes:
        name: for messages.
        kind, candidates, vocab: what it gives (`data.targets`).
        vocabulary: fingerprint of its tokenizer's vocabulary.
        config: JSON identity, part of the dataset's config.
    """

    name: str
    kind: Kind
    candidates: int
    vocab: int
    vocabulary: str
    config: dict[str, Any]

    def ready(self) -> AbstractContextManager:
        """Entered while it is called."""
        ...

    def __call__(self, rows: Rows, first: int, tokens: int) -> Rows:
        """The target fields of some rows, numbered from `first`, for `tokens` reply tokens."""


def label_examples(
    examples: str | os.PathLike,
    scorer: Scorer,
    out: str | os.PathLike,
    *,
    split: str = "train",
    shard: Shard = WHOLE,
) -> WriteReport:
    """Write the rows of a split again, with targets; resumes where it stopped.

    Rows with a teacher's view are read through it, the others as the student reads them.

    Raises:
        UserError: bad input, a scorer with another vocabulary, or an output folder of another
            config.
    """
    rows = read_dataset(examples, split)
    config = rows.facts["config"]
    view = VIEWS[1] if "teacher" in config else VIEWS[0]
    made_for = (config["teacher"] if view else config)["vocabulary"]
    if made_for != scorer.vocabulary:
        raise UserError(
            f"{examples}: its tokens are of the vocabulary {made_for[:12]}, {scorer.name} has "
            f"{scorer.vocabulary[:12]}; give a teacher with the tokenizer of the rows"
        )
    tokens = _most_replies(rows, view)
    lengths = [config["length"], *([config["teacher"]["length"]] if view else [])]
    fields = target_layout(tokens, scorer.candidates, scorer.vocab, scorer.kind)
    spec = DatasetSpec(
        name="examples",
        layout=row_layout(lengths) | fields,
        split=split,
        source={"examples": content_hash(examples)},
        config=config | {"targets": scorer.config},
        compress=False,  # log-probabilities hardly shrink, and reading them must be fast
    )
    starts = range(0, len(rows), BLOCK)

    def make(keys: list[str]) -> Iterator[tuple[str, Rows, dict[str, int]]]:
        label = f"{scorer.name} labels"
        total = sum(min(BLOCK, len(rows) - int(key)) for key in keys)
        with scorer.ready(), Progress(total, label, good="", unit="row") as progress:
            for key in keys:
                block = rows[int(key) : int(key) + BLOCK]
                targets = scorer(block, int(key), tokens)
                labelled = [row | target for row, target in zip(block, targets, strict=True)]
                yield key, labelled, _counts(labelled, view)
                for _ in block:
                    progress.add()

    return write_dataset(out, [f"{start:08d}" for start in starts], make, spec, shard)


def _most_replies(rows: Sequence[dict[str, np.ndarray]], view: str) -> int:
    """M, the most reply tokens of any row, a multiple of 8."""
    most = max((int(row[view + "loss_mask"].sum()) for row in rows), default=0)
    if not most:
        raise UserError("the examples have no reply with loss; check the stage that wrote them")
    return -(-most // 8) * 8


def _counts(rows: Rows, view: str) -> dict[str, int]:
    replies = [int(row[view + "loss_mask"].sum()) for row in rows]
    there = [int(row["target_mask"].sum()) for row in rows]
    return {
        "loss_tokens": sum(replies),
        "tokens_missing_targets": sum(replies) - sum(there),
        "rows_missing_targets": sum(t < r for t, r in zip(there, replies, strict=True)),
        "target_bytes": sum(
            x.nbytes for row in rows for name, x in row.items() if name.startswith("target_")
        ),
    }
