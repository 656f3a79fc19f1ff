"""Chats in the rows of one cache, and what a generator's ids say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from duomem_jax.decode.chunks import Looked
from duomem_jax.decode.generator import Generator
from duomem_jax.decode.grammar import Constraint
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records.chat import Chat
from duomem_jax.speak.looked import looked_at, shown_in
from duomem_jax.speak.protocol import Reply
from duomem_jax.text.tokenizer import chat_tokens


class LocalConversations:
    """Chats in the rows of a `Generator`; each slot is one of them."""

    def __init__(
        self,
        generator: Generator,
        tokenizer: Any,
        adapter: int = 0,
        constraint: Callable[[], Constraint] | None = None,
        eyes: Eyes | None = None,
    ):
        """Take over an empty generator.

        Args:
            generator: its `eos_id` is the tokenizer's end of turn.
            tokenizer: the model's, with a chat template.
            adapter: which one of a stack answers.
            constraint: makes that of a new reply; None: replies are free.
            eyes: of the model; None: it does not see.
        """
        self._generator, self._tokenizer = generator, tokenizer
        self._adapter, self._constraint = adapter, constraint
        self._chat, self._eyes = chat_tokens(tokenizer), eyes
        self._held: dict[int, int] = {}  # messages that a row holds
        self._tokens: dict[int, int] = {}  # and what they come to

    @property
    def slots(self) -> int:
        """Rows of the generator."""
        return self._generator.slots

    @property
    def setup_seconds(self) -> float:
        """Seconds spent on compiling."""
        return self._generator.compile_seconds

    def start(self, slot: int, seed: int) -> None:
        """Empty a row."""
        self._generator.reset(slot, seed=seed, adapter=self._adapter)
        self._held[slot] = self._tokens[slot] = 0

    def reply(self, chats: Mapping[int, Chat]) -> dict[int, Reply | None]:
        """Read what is new in each row, then write all replies side by side."""
        unread = {
            slot: self._chat.since(chat, self._held[slot], self._eyes)
            for slot, chat in chats.items()
        }
        # Sorted out before anything is read: the generator refuses a whole call for one row.
        fitting = {s: ids for s, ids in unread.items() if self._generator.fits(s, len(ids))}
        replies: dict[int, Reply | None] = dict.fromkeys(chats)
        shown = {s: (ids, shown_in(chats[s][self._held[s] :])) for s, ids in fitting.items()}
        for slot, ids in self._written(fitting, looked_at(self._eyes, shown)).items():
            before = self._tokens[slot] + len(fitting[slot])
            reply = read_reply(self._tokenizer, ids, before, self._generator.max_new)
            if self._constraint is not None:
                reply = replace(reply, cut=not self._generator.complete(slot))
            replies[slot] = reply
            # One more, for the reply: the row holds it as it was written, and the caller's version
            # of it, which may be tidied, is never read.
            self._held[slot] = len(chats[slot]) + 1
            self._tokens[slot] = before + len(ids)
        return replies

    def _written(
        self, fitting: Mapping[int, list[int]], pictures: Mapping[int, Looked]
    ) -> dict[int, list[int]]:
        if self._constraint is None:
            return self._generator.extend(fitting, pictures)
        self._generator.read(fitting, pictures)
        for slot in fitting:
            self._generator.constrain(slot, self._constraint())
        return self._generator.write(fitting)

    def stop(self, slot: int) -> None:
        """Forget a row's chat."""
        del self._held[slot], self._tokens[slot]


def read_reply(tokenizer: Any, ids: Sequence[int], prompt_tokens: int, max_new: int) -> Reply:
    """What a generator's ids say.

    Args:
        tokenizer: the model's.
        ids: of a reply, its end of turn last.
        prompt_tokens: tokens before it.
        max_new: tokens it may have had. The last of them was forced to end it, so that a reply of
            this length counts as cut.
    """
    text = tokenizer.decode(ids, skip_special_tokens=True).strip()
    return Reply(text, len(ids) == max_new, prompt_tokens, len(ids))
