"""Lay tokenised conversations into rows of fixed length, offline and deterministically.

A conversation may have two views: what the student reads and what its teacher reads, who sees
memories, or has a tokenizer of its own. Both lie in one row under the same segment number, each
in fields of its own; the i-th reply of a segment is the same reply in both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from duomem_jax.records.store.features import Layout
from duomem_jax.text.encoded import Example

# Segment ids are stored as uint8 and 0 means padding.
MAX_SEGMENTS = 255
VIEWS = ("", "teacher_")  # prefixes of a row's fields: the student's, the teacher's


Conversation = tuple[Example, ...]  # its views, in the order of VIEWS
Rows = list[dict[str, np.ndarray]]


def row_layout(lengths: Sequence[int], *, chunks: bool = False) -> Layout:
    """Record layout of packed rows.

    Args:
        lengths: tokens of a row, for each view.
        chunks: whether tokens know their chunk (`text.alignment`).
    """
    fields = {"tokens": "int32", "segment_ids": "uint8", "loss_mask": "uint8"}
    if chunks:
        fields["chunks"] = "uint16"
    return {
        view + name: (dtype, (length,))
        for view, length in zip(VIEWS, lengths, strict=False)
        for name, dtype in fields.items()
    }


def fit_to_length(conversation: Conversation, lengths: Sequence[int]) -> Conversation | None:
    """Cut a conversation after the last reply with which every view fits; None if none does.

    A reply ends where the loss mask falls from 1 to 0, so a turn is never cut in two.
    """
    if all(len(e.tokens) <= n for e, n in zip(conversation, lengths, strict=True)):
        return conversation
    ends = [_reply_ends(e.loss_mask) for e in conversation]
    replies = min(sum(end <= n for end in of) for of, n in zip(ends, lengths, strict=True))
    if not replies:
        return None
    return tuple(e.upto(of[replies - 1]) for e, of in zip(conversation, ends, strict=True))


def _reply_ends(mask: list[int]) -> list[int]:
    return [i for i in range(1, len(mask) + 1) if mask[i - 1] and not (i < len(mask) and mask[i])]


@dataclass
class _Row:
    lengths: Sequence[int]
    conversations: list[Conversation] = field(default_factory=list)
    used: list[int] = field(default_factory=lambda: [0] * len(VIEWS))

    def takes(self, conversation: Conversation) -> bool:
        ends = (u + len(e.tokens) for u, e in zip(self.used, conversation, strict=False))
        fits = all(end <= n for end, n in zip(ends, self.lengths, strict=True))
        return fits and len(self.conversations) < MAX_SEGMENTS

    def add(self, conversation: Conversation) -> None:
        self.conversations.append(conversation)
        for i, e in enumerate(conversation):
            self.used[i] += len(e.tokens)


def pack(
    conversations: Iterable[Conversation], lengths: Sequence[int]
) -> Iterator[dict[str, np.ndarray]]:
    """First-fit decreasing packing of one block of conversations.

    Neighbouring episodes are of one kind and length, which first-fit alone packs badly: of
    ALFWorld's training games it fills 82 % of rows of 2,048 tokens, longest first 94 %. Time
    grows with the square of the block, so give some thousands at once.

    Args:
        conversations: each view at most as long as its rows.
        lengths: tokens of a row, for each view.

    Yields:
        {"tokens" int32[T], "segment_ids" uint8[T] (1, 2, ...; 0 pads), "loss_mask" uint8[T]},
        and the same with "teacher_" where there is such a view; "chunks" uint16[T] of both,
        numbered through the row, where conversations have them.
    """
    rows: list[_Row] = []
    for conversation in sorted(conversations, key=lambda c: -len(c[0].tokens)):
        row = next((r for r in rows if r.takes(conversation)), None)
        if row is None:
            row = _Row(lengths)
            if not row.takes(conversation):
                longest = [len(e.tokens) for e in conversation]
                raise ValueError(f"{longest} tokens cannot go into rows of {lengths}")
            rows.append(row)
        row.add(conversation)
    for row in rows:
        yield _emit(row)


def pack_examples(
    conversations: list[Conversation], lengths: Sequence[int]
) -> tuple[Rows, dict[str, int]]:
    """Cut one block to `lengths`, pack it; the rows and what became of the conversations."""
    fitted = [fit_to_length(c, lengths) for c in conversations]
    kept = [f for f in fitted if f is not None]
    cut = sum(f is not None and f is not c for f, c in zip(fitted, conversations, strict=True))
    rows = list(pack(kept, lengths))
    return rows, {
        "examples": len(kept),
        "cut_to_fit": cut,
        "dropped_too_long": len(fitted) - len(kept),
        "tokens": sum(len(c[0].tokens) for c in kept),
        "loss_tokens": sum(int(row["loss_mask"].sum()) for row in rows),
        "row_tokens": len(rows) * lengths[0],
    }


def _emit(row: _Row) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    views = zip(*row.conversations, strict=True)
    for view, length, examples in zip(VIEWS, row.lengths, views, strict=False):
        tokens = np.zeros(length, np.int32)
        segment_ids = np.zeros(length, np.uint8)
        loss_mask = np.zeros(length, np.uint8)
        chunks = np.zeros(length, np.uint16)
        at = first = 0
        for segment, example in enumerate(examples, start=1):
            here = slice(at, at + len(example.tokens))
            tokens[here], loss_mask[here] = example.tokens, example.loss_mask
            segment_ids[here] = segment
            if example.chunks is not None:
                chunks[here] = [c and first + c for c in example.chunks]
                out[view + "chunks"] = chunks
                first += max(c for e in row.conversations[segment - 1] for c in e.chunks or [0])
            # Nothing inside its segment predicts a first token.
            loss_mask[at] = 0
            at = here.stop
        out[view + "tokens"], out[view + "segment_ids"] = tokens, segment_ids
        out[view + "loss_mask"] = loss_mask
    return out


def positions_in_segments(segment_ids: np.ndarray) -> np.ndarray:
    """Positions that restart at 0 in each run of equal ids: [..., T] -> int32[..., T]."""
    index = np.arange(segment_ids.shape[-1], dtype=np.int32)
    starts = np.zeros(segment_ids.shape, np.int32)
    changed = segment_ids[..., 1:] != segment_ids[..., :-1]
    starts[..., 1:] = np.where(changed, index[1:], 0)
    return index - np.maximum.accumulate(starts, axis=-1)
