"""Chunks of text that two tokenizers spell with different tokens, found by bytes.

Nothing is tokenised again: the ids are those that were sampled or trained on, and a chunk ends
where a token of the student and a token of the teacher end at the same byte. Each reply is aligned
alone, so headers, begin tokens and other habits of a chat template shift nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duomem_jax.text.encoded import Example
from duomem_jax.text.spelling import Piece, Speller
from duomem_jax.text.tokenizer import chat_tokens


class UnalignableError(ValueError):
    """Two sequences of tokens that do not spell the same text."""


def align(
    student: Sequence[Piece], teacher: Sequence[Piece], pairs: Mapping[str, str]
) -> tuple[list[int], list[int]]:
    """Number the finest chunks that both sides spell alike.

    A special token is a chunk of its own and stands only for the one it is paired with. A token
    that spells nothing (a dummy prefix alone) goes with the token after it.

    Args:
        student: pieces of one reply, see `Speller.pieces`.
        teacher: pieces of the same reply.
        pairs: the student's special tokens -> the teacher's.

    Returns:
        (chunk of each student token, chunk of each teacher token): 1, 2, ... in order, the same
        numbers on both sides.

    Raises:
        UnalignableError: the bytes differ, or a special token meets something else.
    """
    chunks: list[int] = []
    teacher_chunks: list[int] = []
    count = 0
    # `strict` never fails: where one side has more runs, the other's None meets a special token,
    # and `_check_pair` refuses that.
    for (ours, end), (theirs, teacher_end) in zip(_runs(student), _runs(teacher), strict=True):
        _check_bytes(b"".join(ours), b"".join(theirs))
        _check_pair(end, teacher_end, pairs)
        stops, teacher_stops = _stops(ours), _stops(theirs)
        # A chunk ends where a piece of both sides ends; at byte 0 end only pieces of no bytes.
        common = np.setdiff1d(np.intersect1d(stops, teacher_stops), 0)
        first = count + 1 if end or len(common) else 0  # 0: tokens that spell nothing at all
        # A token belongs to the first common stop that is not before its own.
        chunks += (first + np.searchsorted(common, stops)).tolist()
        teacher_chunks += (first + np.searchsorted(common, teacher_stops)).tolist()
        count += len(common)
        if end:
            count += 1
            chunks.append(count)
            teacher_chunks.append(count)
    return chunks, teacher_chunks


def _runs(pieces: Sequence[Piece]) -> Iterator[tuple[list[bytes], str | None]]:
    """Pieces of text up to each special token, and the token; the last run ends with None."""
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, str):
            yield run, piece
            run = []
        else:
            run.append(piece)
    yield run, None


def _stops(run: list[bytes]) -> np.ndarray:
    """After how many bytes of the run each piece ends."""
    return np.cumsum([len(piece) for piece in run], dtype=int)


def _check_bytes(ours: bytes, theirs: bytes) -> None:
    if ours == theirs:
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    shown = slice(max(0, at - 10), at + 10)
    raise UnalignableError(
        f"the student spells {ours[shown]!r} and the teacher {theirs[shown]!r}: "
        f"they differ from byte {at} of the text"
    )


def _check_pair(ours: str | None, theirs: str | None, pairs: Mapping[str, str]) -> None:
    if ours is None or theirs is None:
        paired = ours is theirs
    else:
        paired = pairs.get(ours) == theirs
    if not paired:
        raise UnalignableError(
            f"the student's {ours or 'end of text'} meets the teacher's "
            f"{theirs or 'end of text'}, which is not its pair"
        )


@dataclass(frozen=True)
class Alignment:
    """The chunks of one conversation under two tokenizers.

    Attributes:
        student: chunk of each student token, 0 for none.
        teacher: chunk of each teacher token, 0 for none.
        count: chunks, numbered 1 to `count`.
        left_out: why a reply has no chunks, one text for each such reply.
    """

    student: list[int]
    teacher: list[int]
    count: int
    left_out: list[str]


class Aligner:
    """Aligns conversations of two tokenizers reply by reply.

    The end-of-turn tokens of the chat templates are paired; any other special token is not.

    Args:
        student: tokenizer with a chat template.
        teacher: tokenizer with a chat template.

    Raises:
        UserError: a tokenizer whose bytes are unknown, or a template that `ChatTokens` refuses.
    """

    def __init__(self, student: Any, teacher: Any) -> None:
        self._student = Speller(student)
        self._teacher = Speller(teacher)
        # No other pair: a special token that only one model knows has no text to compare.
        self._pairs = {_end_of_turn(student): _end_of_turn(teacher)}

    def conversation(self, student: Example, teacher: Example) -> Alignment:
        """Chunks of the replies of one conversation, as `ChatTokens.conversations` gives them.

        The k-th run of tokens with loss is the k-th reply on both sides. A reply whose texts
        differ (a tokenizer that normalises its text) is omitted; so are, silently, replies that
        only one side has because the other was cut to fit.
        """
        chunks = [0] * len(student.tokens)
        teacher_chunks = [0] * len(teacher.tokens)
        count = 0
        left_out = []
        # Not strict: a view that was cut to fit has fewer replies.
        for ours, theirs in zip(_replies(student), _replies(teacher), strict=False):
            try:
                found, teacher_found = align(
                    _pieces(self._student, student, ours),
                    _pieces(self._teacher, teacher, theirs),
                    self._pairs,
                )
            except UnalignableError as e:
                left_out.append(str(e))
                continue
            chunks[ours] = _numbered_after(count, found)
            teacher_chunks[theirs] = _numbered_after(count, teacher_found)
            count += max(found, default=0)
        return Alignment(chunks, teacher_chunks, count, left_out)


def _end_of_turn(tokenizer: Any) -> str:
    return tokenizer.convert_ids_to_tokens(chat_tokens(tokenizer).end_id)


def _numbered_after(count: int, chunks: list[int]) -> list[int]:
    """The chunks of one reply, numbered after those of the replies before it; 0 stays 0."""
    return [count + n if n else 0 for n in chunks]


def _replies(example: Example) -> Iterator[slice]:
    """The places of each run of tokens with loss, in order."""
    mask = np.array(example.loss_mask) > 0
    # Where the mask changes, with a 0 on both sides, runs begin and end by turns.
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False])).tolist()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(start, stop)


def _pieces(speller: Speller, example: Example, reply: slice) -> list[Piece]:
    tokens = example.tokens
    # The token in front decides whether the tokenizer put a space before the reply.
    return speller.pieces(tokens[reply], tokens[reply.start - 1] if reply.start else None)
