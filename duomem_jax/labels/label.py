"""The stage that adds a teacher's targets to packed rows."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from duomem_jax.base.errors import UserError
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.data.facts import RowFacts
from duomem_jax.data.rows import Kind, Record, RowFormat, TargetFormat, batch_of
from duomem_jax.objectives import Batch, Stored, Tokens
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import ROWS, SPLIT
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset

# Rows labelled together: what a killed writer repeats at most. The same on every machine, since a
# run may be finished by another one.
BLOCK = 64


class Scorer(Protocol):
    """Says how likely tokens are.

    Attributes:
        name: for messages.
        kind: of its targets, the likeliest tokens or samples.
        candidates: C.
        vocab: V.
        vocabulary: fingerprint of its tokenizer's vocabulary.
        config: JSON identity, part of the dataset's config; has `kind` and `temperature`.
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

    def __call__(self, rows: Sequence[Tokens], first: int, tokens: int) -> list[Stored]:
        """Targets of some rows, arrays [A,C].

        Args:
            rows: arrays [T], as the teacher reads them.
            first: number of the first of them in the dataset.
            tokens: A, room for reply tokens.
        """
        ...


def label_examples(
    examples: str | os.PathLike, scorer: Scorer, out: str | os.PathLike, *, shard: Shard = WHOLE
) -> WriteReport:
    """Write packed rows again, with targets; resumes where it stopped.

    Rows with a teacher's view are read through it, the others as the student reads them.

    Raises:
        UserError: bad input, a scorer with another vocabulary, or an output folder of another
            config.
    """
    facts, records = RowFacts.read(examples), read_dataset(examples, SPLIT, ROWS)
    if facts.pictures:
        raise UserError(
            f"{examples}: its rows show pictures, which no teacher is shown; label rows of text, "
            "or train on these with objective.name text"
        )
    made_for = facts.taught.vocabulary
    if made_for != scorer.vocabulary:
        raise UserError(
            f"{examples}: its tokens are of the vocabulary {made_for[:12]}, {scorer.name} has "
            f"{scorer.vocabulary[:12]}; give a teacher with the tokenizer of the rows"
        )
    # A whole pass ahead of the work: all records have one shape, and the row with most replies
    # decides it.
    tokens = _most_replies(batch_of(record).taught for record in records)
    form = RowFormat(
        length=facts.student.length,
        teacher_length=facts.teacher.length if facts.teacher else 0,
        chunks=facts.aligned,
        targets=TargetFormat(tokens, scorer.candidates, scorer.vocab, scorer.kind),
    )
    spec = DatasetSpec(
        name=ROWS,
        layout=form.layout(),
        source={"examples": facts.content},
        # The rows' own config stays, so that the result can be read as rows: vocabularies, lengths.
        config=records.facts["config"] | {"targets": scorer.config},
        compress=False,  # log-probabilities hardly shrink, and reading them must be fast
    )

    def make(keys: list[str]) -> Iterator[tuple[str, list[Record], dict[str, int]]]:
        label = f"{scorer.name} labels"
        total = sum(min(BLOCK, len(records) - int(key)) for key in keys)
        with scorer.ready(), Progress(total, label, good="", unit="row") as progress:
            for key in keys:
                block = [batch_of(r) for r in records[int(key) : int(key) + BLOCK]]
                targets = scorer([row.taught for row in block], int(key), tokens)
                labelled = [
                    form.record(Batch(row.student, row.teacher, stored))
                    for row, stored in zip(block, targets, strict=True)
                ]
                yield key, labelled, _counts(block, targets, labelled, form)
                for _ in block:
                    progress.add()

    # With leading zeros: the store sorts keys as text, and rows must keep their order.
    keys = [f"{start:08d}" for start in range(0, len(records), BLOCK)]
    report = write_dataset(out, keys, make, spec, shard)
    # A shard without a block has counted nothing.
    wanted = report.counts.get("loss_tokens", 0)
    missing = report.counts.get("tokens_missing_targets", 0)
    if report.status != "waiting" and missing == wanted:
        raise UserError(
            f"{out}: none of the {wanted:,} reply tokens got targets; see that {scorer.name} takes "
            "conversations of this length and has the tokenizer of the rows, and label again into "
            "another folder"
        )
    told = f"{missing:,} of {wanted:,} reply tokens without targets" if missing else ""
    return report.with_details(told)


def _most_replies(rows: Iterator[Tokens]) -> int:
    """A, the most reply tokens of any row, a multiple of 8."""
    most = max((int(row.reply_BT.sum()) for row in rows), default=0)
    if not most:
        raise UserError("the examples have no reply with loss; check the stage that wrote them")
    return -(-most // 8) * 8


def _counts(
    rows: Sequence[Batch], targets: Sequence[Stored], records: Sequence[Record], form: RowFormat
) -> dict[str, int]:
    assert form.targets is not None
    # On the side that the teacher reads, where its targets are.
    wanted = [int(row.taught.reply_BT.sum()) for row in rows]
    there = [int(stored.mask_BA.sum()) for stored in targets]
    fields = form.targets.layout()
    return {
        "loss_tokens": sum(wanted),
        "tokens_missing_targets": sum(wanted) - sum(there),
        "rows_missing_targets": sum(t < w for t, w in zip(there, wanted, strict=True)),
        "target_bytes": sum(record[name].nbytes for record in records for name in fields),
    }
