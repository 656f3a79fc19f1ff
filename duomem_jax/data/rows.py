"""How packed rows lie on disk: the one place that knows the names and types of their fields.

A row holds the student's tokens, the teacher's where it reads its own, and what a teacher has said
of up to A reply tokens, C candidates each:

    tokens, segment_ids, loss_mask   int32, uint8, uint8 [T]
    chunks                           uint16 [T], for a teacher with another tokenizer
    teacher_tokens, ...              the same, as the teacher reads them
    target_ids                       uint16 [A,C], and target_ids_high uint8 for large vocabularies
    target_log_probs                 float16 [A,C], the teacher's; or the log-weights of samples
    target_rest                      float16 [A], log-probability of all others; not for samples
    target_mask                      uint8 [A], 1 where there are targets
    tiles                            int32 [P], of the row's pictures, by their numbers in the
                                     dataset of pictures (`data.pictures`); -1: none
    feature_index                    int32 [T], which feature of these a token takes; -1: none

Targets take at most 5 bytes a candidate and 3 a token. A candidate of log-probability l is off by
at most |l| / 2048. Positions are not stored: they follow from the segments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import jax
import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.objectives import Batch, Seen, Stored, Tokens
from duomem_jax.objectives.targets import EVERYTHING, Needs
from duomem_jax.records.store.features import Layout

Record = dict[str, np.ndarray]
T = TypeVar("T")
Kind = Literal["topk", "samples"]

MAX_SEGMENTS = 255  # conversations of a row: they are numbered in a byte, and 0 pads
_TEACHER = "teacher_"  # before the names of the fields of the teacher's tokens
_SMALL = 2**16  # ids below it fit into two bytes
_MOST_CHUNKS = 2**16 - 1


@dataclass(frozen=True)
class TargetFormat:
    """The shape of a row's stored targets.

    Attributes:
        tokens: A, the most reply tokens of any row.
        candidates: C.
        vocab: V of the teacher, which decides how many bytes an id takes.
        kind: the likeliest tokens and a rest, or samples.
    """

    tokens: int
    candidates: int
    vocab: int
    kind: Kind

    def layout(self) -> Layout:
        """Record layout of the fields."""
        shape = self.tokens, self.candidates
        layout: Layout = {"target_ids": ("uint16", shape)}
        # Three bytes an id, in two fields: with int32 a candidate would take six bytes, not five.
        if self.vocab > _SMALL:
            layout["target_ids_high"] = ("uint8", shape)
        layout["target_log_probs"] = ("float16", shape)
        if self.kind == "topk":
            layout["target_rest"] = ("float16", (self.tokens,))
        return layout | {"target_mask": ("uint8", (self.tokens,))}

    def record(self, stored: Stored) -> Record:
        """The fields of one row, arrays [A,C] and [A]."""
        record = {"target_ids": (stored.ids_BAC % _SMALL).astype(np.uint16)}
        if self.vocab > _SMALL:
            record["target_ids_high"] = (stored.ids_BAC // _SMALL).astype(np.uint8)
        record["target_log_probs"] = stored.log_probs_BAC.astype(np.float16)
        if stored.rest_BA is not None:
            record["target_rest"] = stored.rest_BA.astype(np.float16)
        return record | {"target_mask": stored.mask_BA.astype(np.uint8)}


@dataclass(frozen=True)
class PictureRoom:
    """What pictures may take of a row.

    Attributes:
        tiles: P.
        tile_tokens: tokens of a tile.
        image_token: id of these tokens.
    """

    tiles: int
    tile_tokens: int
    image_token: int

    def tokens(self, tiles: int) -> int:
        """Tokens of so many tiles."""
        return tiles * self.tile_tokens

    def layout(self, length: int) -> Layout:
        """Record layout of the fields."""
        return {"tiles": ("int32", (self.tiles,)), "feature_index": ("int32", (length,))}


@dataclass(frozen=True)
class RowFormat:
    """The shape of packed rows.

    Attributes:
        length: T, tokens of the student's side.
        teacher_length: tokens of the teacher's side; 0: it reads the student's.
        chunks: whether tokens know their chunk (`text.alignment`).
        targets: what is stored of a teacher, or None.
        pictures: room for them, or None.
    """

    length: int
    teacher_length: int = 0
    chunks: bool = False
    targets: TargetFormat | None = None
    pictures: PictureRoom | None = None

    def __post_init__(self) -> None:
        # A row may have as many chunks as tokens, and their numbers are stored in 16 bits.
        longest = max(self.length, self.teacher_length)
        if self.chunks and longest > _MOST_CHUNKS:
            raise UserError(
                f"rows of {longest} tokens for two tokenizers; give at most {_MOST_CHUNKS}"
            )

    def layout(self) -> Layout:
        """Record layout of the rows."""
        layout = _tokens_layout(self.length, self.chunks)
        if self.teacher_length:
            layout |= _tokens_layout(self.teacher_length, self.chunks, _TEACHER)
        layout |= self.targets.layout() if self.targets else {}
        return layout | (self.pictures.layout(self.length) if self.pictures else {})

    def record(self, row: Batch) -> Record:
        """One row, arrays [T], as it is stored."""
        record = _tokens_record(row.student)
        if row.teacher is not None:
            record |= _tokens_record(row.teacher, _TEACHER)
        if self.targets and row.stored is not None:
            record |= self.targets.record(row.stored)
        if row.seen is not None:
            record |= {"tiles": row.seen.tiles_BP, "feature_index": row.seen.index_BT}
        return record

    def empty(self, *leading: int) -> Batch:
        """Rows without a token, T of each behind the leading sizes."""
        # Through `batch_of`, so that their types are those of rows that were read, and a program
        # that is compiled for these takes the real ones.
        fields = self.layout().items()
        return batch_of({n: np.zeros((*leading, *shape), kind) for n, (kind, shape) in fields})

    def shapes(self, batch: int) -> Batch:
        """A batch of so many rows: `jax.ShapeDtypeStruct` in place of arrays."""
        # One row, not `batch` of them: a global batch of many chips need not exist here.
        empty = self.empty(1)
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), empty)


def batch_of(record: Mapping[str, np.ndarray], needs: Needs = EVERYTHING) -> Batch:
    """Rows [...,T] as a training step wants them, from the fields of one row or of stacked rows.

    Args:
        record: fields by name; those that are not known here are passed over.
        needs: which optional parts to read.
    """
    # What is not needed becomes None, an empty subtree: it is neither converted nor sent.
    has_own_view = needs.teacher and _TEACHER + "tokens" in record
    has_targets = needs.stored and "target_ids" in record
    return Batch(
        student=_tokens_of(record, needs.chunks),
        teacher=_tokens_of(record, needs.chunks, _TEACHER) if has_own_view else None,
        stored=_stored_of(record) if has_targets else None,
        seen=Seen(record["feature_index"], record["tiles"]) if "tiles" in record else None,
    )


def _tokens_layout(length: int, chunks: bool, prefix: str = "") -> Layout:
    kinds = {"tokens": "int32", "segment_ids": "uint8", "loss_mask": "uint8"}
    kinds |= {"chunks": "uint16"} if chunks else {}
    return {prefix + name: (kind, (length,)) for name, kind in kinds.items()}


def _tokens_record(tokens: Tokens, prefix: str = "") -> Record:
    record = {
        "tokens": tokens.ids_BT.astype(np.int32),
        "segment_ids": tokens.segments_BT.astype(np.uint8),
        "loss_mask": tokens.reply_BT.astype(np.uint8),
    }
    if tokens.chunks_BT is not None:
        record["chunks"] = tokens.chunks_BT.astype(np.uint16)
    return {prefix + name: x for name, x in record.items()}


def _tokens_of(record: Mapping[str, np.ndarray], with_chunks: bool, prefix: str = "") -> Tokens:
    segments_BT = record[prefix + "segment_ids"].astype(np.int32)
    chunks_BT = record.get(prefix + "chunks") if with_chunks else None
    return Tokens(
        ids_BT=record[prefix + "tokens"].astype(np.int32, copy=False),
        segments_BT=segments_BT,
        positions_BT=positions_in_segments(segments_BT),
        reply_BT=record[prefix + "loss_mask"] > 0,
        chunks_BT=None if chunks_BT is None else chunks_BT.astype(np.int32),
    )


def _stored_of(record: Mapping[str, np.ndarray]) -> Stored:
    ids_BAC = record["target_ids"].astype(np.int32)
    if "target_ids_high" in record:
        ids_BAC += record["target_ids_high"].astype(np.int32) * _SMALL
    return Stored(
        ids_BAC=ids_BAC,
        # Still float16: the step widens them, after they were sent to the devices.
        log_probs_BAC=record["target_log_probs"],
        mask_BA=record["target_mask"] > 0,
        rest_BA=record.get("target_rest"),
    )


def positions_in_segments(segments_BT: np.ndarray) -> np.ndarray:
    """Positions that restart at 0 in each run of equal ids: [...,T] -> int32 [...,T]."""
    index_T = np.arange(segments_BT.shape[-1], dtype=np.int32)
    starts_BT = np.zeros(segments_BT.shape, np.int32)
    changed_BT = segments_BT[..., 1:] != segments_BT[..., :-1]
    starts_BT[..., 1:] = np.where(changed_BT, index_T[1:], 0)
    # The running maximum of starts is where the current segment began.
    return index_T - np.maximum.accumulate(starts_BT, axis=-1)


def stack(rows: Sequence[T]) -> T:
    """Rows [T] of one format (`Batch` or `Tokens`) as a batch [B,T]."""
    return jax.tree.map(lambda *x: np.stack(x), *rows)
