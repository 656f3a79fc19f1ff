"""Lessons of the listener: with them a decoder that learns to see keeps its words."""

from typing import Any

from duomem_jax.base.draw import Draw
from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.rows import RowFormat, stack
from duomem_jax.objectives import Batch
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.tiny.listener.lessons import lessons
from duomem_jax.tiny.listener.rows import LENGTH


class Words:
    """Packed rows of lessons without a picture.

    Args:
        tokenizer: of the decoder.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._chat, self._form = chat_tokens(tokenizer), RowFormat(LENGTH)

    def batch(self, index: int) -> Batch:
        """One row [1, T], any of those that the lessons of training dialogue `index` make."""
        examples = self._chat.conversations(list(lessons(index)))
        rows = pack_examples([Conversation(e) for e in examples], self._form).rows
        return stack([Draw(f"words {index}").pick(rows)])
