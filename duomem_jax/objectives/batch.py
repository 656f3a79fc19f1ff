"""What a training step is given: packed rows, and what a teacher has said of them.

The same types hold a batch [B,T] on devices, a row [T] while it is packed, and shapes for programs
that are only compiled: leading axes are free. How rows lie on disk is said in `data.rows`.
"""

from dataclasses import dataclass
from typing import Any

import jax

Array = Any  # jax.Array, numpy.ndarray or jax.ShapeDtypeStruct


# Registered as pytrees. A field that is None is an empty subtree, so rows without targets or chunks
# compile to a program that knows nothing of them.
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tokens:
    """Packed conversations as one model reads them.

    Attributes:
        ids_BT: int32 token ids; 0 where nothing lies.
        segments_BT: int32, which conversation of the row a token belongs to; 0 pads.
        positions_BT: int32, restarting at 0 in each segment.
        reply_BT: bool, True on the tokens to be learnt: replies and their ends of turn.
        chunks_BT: int32, for a teacher with another tokenizer: equal numbers on both sides spell
            the same bytes, 0 for none (`text.alignment`); None where tokenizers are the same.
    """

    ids_BT: Array
    segments_BT: Array
    positions_BT: Array
    reply_BT: Array
    chunks_BT: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stored:
    """A teacher's distributions over the reply tokens of rows, the i-th of a row in column i.

    Attributes:
        ids_BAC: int32, C candidates for each of up to A reply tokens.
        log_probs_BAC: float16, the teacher's log-probabilities; of samples their log-weights.
        mask_BA: True where there are targets; a reply token without any is omitted from the loss.
        rest_BA: float16, log-probability of all other tokens together; None: candidates are
            samples.
    """

    ids_BAC: Array
    log_probs_BAC: Array
    mask_BA: Array
    rest_BA: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Seen:
    """The pictures of rows, of each P tiles at most, whose n tokens lie end to end.

    Attributes:
        index_BT: int32, which of its row's n features a token of the student takes; -1: its own
            embedding.
        tiles_BP: int32, the numbers of the tiles in their dataset (`data.pictures`); -1: none.
        features_BnD: float16, what they look like; None while they are not read.
    """

    index_BT: Array
    tiles_BP: Array
    features_BnD: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """Rows to learn from.

    Attributes:
        student: as the student reads them.
        teacher: as the teacher does, where it is shown more or has another tokenizer; else None.
        stored: what a teacher has said of them, or None.
        as_text_BT: bool, student tokens whose target is the token itself whatever the objective
            is (turns that the teacher took); None: there are none.
        seen: pictures that stand in the place of some of the student's tokens; None: there are
            none.
    """

    student: Tokens
    teacher: Tokens | None = None
    stored: Stored | None = None
    as_text_BT: Array | None = None
    seen: Seen | None = None

    @property
    def taught(self) -> Tokens:
        """The rows as a teacher in the loop reads them."""
        return self.teacher or self.student
