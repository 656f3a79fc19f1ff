"""Write replies under a grammar: the host says which tokens may come, the device chooses.

Tokens that the grammar forces, such as the names of keys, are not chosen but read, several at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from duomem_jax.decode.grammar import Constraint
from duomem_jax.decode.rows import Group, Held
from duomem_jax.models.platform import platform

# (held, group, tokens_BT, n_new_B, mask_Bn) -> (held, token_B), as `advance`.
Step = Callable[[Held, Group, np.ndarray, np.ndarray, np.ndarray], tuple[Held, jax.Array]]

# A step that reads several tokens of each row takes longer than one that reads one. On a CPU it
# does so by this factor when it has `CPU_TOKENS` tokens in all (SmolLM2-135M, two cores).
CPU_TOKENS, CPU_FACTOR = 32, 1.75
ACCELERATOR_LENGTH, ACCELERATOR_FACTOR = 16, 1.1


class ConstrainedReply:
    """A reply under way.

    Attributes:
        waiting: its tokens that the cache does not hold yet.
    """

    def __init__(self, constraint: Constraint, limit: int, ends: frozenset[int]):
        """Begin with what the grammar forces.

        Args:
            constraint: of a reply without tokens.
            limit: tokens it may have, end token included.
            ends: tokens that end it.
        """
        self._constraint, self._left, self._ends = constraint, limit - 1, ends
        self.waiting: list[int] = []
        self._say(constraint.forced())

    @property
    def ended(self) -> bool:
        """Whether no token but the end follows."""
        return self._constraint.ended or not self._left

    @property
    def complete(self) -> bool:
        """Whether it satisfies its grammar; otherwise it was cut."""
        return self._constraint.complete

    @property
    def vocabulary(self) -> int:
        """Tokens that the grammar knows."""
        return self._constraint.vocabulary

    def allow(self, mask_n: np.ndarray) -> None:
        """Set the bits of the tokens that may be chosen (`Constraint.allow`)."""
        self._constraint.allow(mask_n)

    def choose(self, token: int) -> None:
        """Go on with a token that was allowed, and with what it leads to for certain."""
        if token in self._ends:
            self._constraint.take([token])
            return
        self._say([token])
        self._say(self._constraint.forced())

    def _say(self, tokens: Sequence[int]) -> None:
        tokens = tokens[: self._left]
        self._constraint.take(tokens)
        self.waiting += tokens
        self._left -= len(tokens)


@dataclass(frozen=True)
class Lengths:
    """How many tokens of a row a step may read: one, or `several`.

    Attributes:
        several: where it pays.
        factor: how much longer such a step takes.
    """

    several: int
    factor: float

    @classmethod
    def of(cls, rows: int) -> "Lengths":
        """What suits this device and a call of so many rows."""
        if platform() != "cpu":
            return cls(ACCELERATOR_LENGTH, ACCELERATOR_FACTOR)
        return cls(min(max(CPU_TOKENS // rows, 2), 16), CPU_FACTOR)

    def best(self, waiting: Sequence[int]) -> int:
        """Tokens of a row to read next, where so many wait in each row at work."""
        read = sum(min(n, self.several) for n in waiting)
        # Tokens that wait longer are not lost: those of several rows then go together.
        return self.several if read > self.factor * len(waiting) else 1


def write_constrained(
    replies: Mapping[int, ConstrainedReply],
    held: Held,
    group: Group,
    piece: int,
    *,
    vocabulary: int,
    lengths: Lengths,
    steps: Callable[[int], Step],
) -> tuple[Held, list[list[int]]]:
    """Write up to `piece` tokens in each row of a group.

    Returns early when one of the rows has used up its piece, so that no other works beside idle
    ones for long.

    Args:
        replies: by the place in the group; other places are idle.
        held: of the rows, with room for `piece` tokens more in each; donated.
        group: the rows.
        piece: tokens at most.
        vocabulary: V of the model.
        lengths: what a step may read.
        steps: the step that reads so many tokens of a row.

    Returns:
        What is held, and the tokens that went into it, by place; no end tokens.
    """
    words = -(-max(vocabulary, *(reply.vocabulary for reply in replies.values())) // 32)
    written: list[list[int]] = [[] for _ in group.rows_B]

    def at_work() -> list[int]:
        return [i for i, reply in replies.items() if reply.waiting or not reply.ended]

    while (places := at_work()) and all(len(written[i]) < piece for i in places):
        room = piece - max(len(written[i]) for i in places)
        longest = lengths.best([max(len(replies[i].waiting), 1) for i in places])
        tokens_BT = np.zeros((len(written), longest), np.int32)
        n_new_B = np.zeros(len(written), np.int32)
        mask_Bn = np.zeros((len(written), words), np.uint32)
        done_B = np.array([len(tokens) for tokens in written], np.int32)
        choosing = []
        for i in places:
            reply = replies[i]
            chunk = reply.waiting[: min(longest, room)]
            del reply.waiting[: len(chunk)]
            tokens_BT[i, : len(chunk)], n_new_B[i] = chunk, len(chunk)
            written[i] += chunk
            if not reply.waiting and not reply.ended:
                choosing.append(i)
                reply.allow(mask_Bn[i])
        # With what has been read so far: the record on the host is brought up to date at the end.
        now = replace(group, length_B=group.length_B + done_B, done_B=group.done_B + done_B)
        held, token_B = steps(longest)(held, now, tokens_BT, n_new_B, mask_Bn)
        chosen_B = np.asarray(token_B)
        for i in choosing:
            replies[i].choose(int(chosen_B[i]))
    return held, written
