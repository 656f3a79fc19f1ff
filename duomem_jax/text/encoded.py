"""A conversation as one model's tokens."""

from typing import NamedTuple


class Example(NamedTuple):
    """One view of a conversation: its tokens, and what is learnt of them."""

    tokens: list[int]
    loss_mask: list[int]  # 1 on replies
    chunks: list[int] | None = None  # of the text, where the other view has other tokens

    def upto(self, end: int) -> "Example":
        """The view cut to its first `end` tokens."""
        chunks = None if self.chunks is None else self.chunks[:end]
        return Example(self.tokens[:end], self.loss_mask[:end], chunks)
