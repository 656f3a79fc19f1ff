"""A model that runs here and answers chats."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.sample import derived_seed
from duomem_jax.decode.generator import Generator, rows_of_a_call
from duomem_jax.lora.open import Opened
from duomem_jax.records.chat import Chat
from duomem_jax.speak.protocol import SLOTS, Reply, Sampling
from duomem_jax.speak.room import Room
from duomem_jax.text.tokenizer import chat_tokens, check_ids

WINDOW = 512  # chats taken from the caller at once
PIECE = 32  # tokens written between two looks at which replies have ended


@dataclass(frozen=True)
class _Question:
    """A chat that waits for its reply."""

    number: int  # in its window
    ids: list[int]
    seed: int


class LocalSpeaker:
    """Answers chats with a model in this process; a `Speaker`."""

    def __init__(
        self,
        name: str,
        opened: Opened,
        tokenizer: Any,
        identity: dict[str, Any],
        room: Room,
        ends: Sequence[int] = (),
    ):
        """Get ready; nothing is allocated yet.

        Args:
            name: who the model is.
            opened: its weights, opened with `decoding`.
            tokenizer: its own, with a chat template.
            identity: what its answers depend on.
            room: what there is memory for.
            ends: tokens that end a reply beside the template's end of turn.

        Raises:
            UserError: the tokenizer has ids that the model lacks.
        """
        framing = chat_tokens(tokenizer).framing
        check_ids(name, tokenizer, opened.model.config.vocab_size, framing)
        self.name, self._ends = name, ends
        self._room, self._max_len = room, room.max_len
        self._opened, self._tokenizer, self._identity = opened, tokenizer, identity
        self._chat = chat_tokens(tokenizer)

    def identity(self) -> dict[str, Any]:
        """Contents of the model's files and how they are held."""
        return self._identity

    def conversations(self, slots: int | None, how: Sampling) -> "LocalConversations":
        """Chats in the rows of one cache, none of whose tokens is read twice."""
        return LocalConversations(self._generator(how, asked=slots), self._tokenizer)

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in order; a row whose reply has ended takes the next chat."""
        waiting, generator = iter(chats), None
        while window := list(itertools.islice(waiting, WINDOW)):
            fitting = self._fitting(window, how)
            if fitting and generator is None:
                # By the window, not by its chats that fit: more of the next one may. Only the last
                # window is short, and where it is the first, no other follows.
                generator = self._generator(how, usual=min(len(window), rows_of_a_call()))
            fits = {question.number for question in fitting}
            replies = _in_rows(generator, fitting, self._tokenizer) if generator else iter(())
            found: dict[int, Reply] = {}
            for number in range(len(window)):
                # Replies end in any order; those that are ahead of their turn wait.
                while number in fits and number not in found:
                    ended, reply = next(replies)
                    found[ended] = reply
                yield found.pop(number, None)

    def _fitting(self, window: Sequence[Chat], how: Sampling) -> list[_Question]:
        """Those chats that leave room for a reply."""
        questions = [
            # Seeded by what is said, not by its number: order, windows and shards change no reply.
            _Question(number, self._chat.since(chat), derived_seed(how.seed, json.dumps(chat)))
            for number, chat in enumerate(window)
        ]
        return [q for q in questions if len(q.ids) + how.max_new <= self._max_len]

    def _generator(self, how: Sampling, asked: int | None = None, usual: int = SLOTS) -> Generator:
        # Otherwise every chat would be too long, and every game lost, without a word.
        if how.max_new >= self._max_len:
            raise UserError(
                f"{self.name}: a reply of {how.max_new:,} tokens leaves no room in a conversation "
                f"of {self._max_len:,}; lower max_new or raise max_len"
            )
        return Generator(
            self._opened.model,
            self._opened.base,
            self._opened.lora,
            slots=self._room.slots(asked, usual),
            max_len=self._max_len,
            eos_id=self._chat.end_id,
            max_new=how.max_new,
            temperature=how.temperature,
            ends=self._ends,
        )


class LocalConversations:
    """Chats in the rows of a `Generator`; each slot is one of them."""

    def __init__(self, generator: Generator, tokenizer: Any):
        """Take over an empty generator.

        Args:
            generator: its `eos_id` is the tokenizer's end of turn.
            tokenizer: the model's, with a chat template.
        """
        self._generator, self._tokenizer = generator, tokenizer
        self._chat = chat_tokens(tokenizer)
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
        self._generator.reset(slot, seed=seed)
        self._held[slot] = self._tokens[slot] = 0

    def reply(self, chats: Mapping[int, Chat]) -> dict[int, Reply | None]:
        """Read what is new in each row, then write all replies side by side."""
        unread = {slot: self._chat.since(chat, self._held[slot]) for slot, chat in chats.items()}
        # Sorted out before anything is read: the generator refuses a whole call for one row.
        fitting = {s: ids for s, ids in unread.items() if self._generator.fits(s, len(ids))}
        replies: dict[int, Reply | None] = dict.fromkeys(chats)
        for slot, ids in self._generator.extend(fitting).items():
            before = self._tokens[slot] + len(fitting[slot])
            replies[slot] = read_reply(self._tokenizer, ids, before, self._generator.max_new)
            # One more, for the reply: the row holds it as it was written, and the caller's version
            # of it, which may be tidied, is never read.
            self._held[slot] = len(chats[slot]) + 1
            self._tokens[slot] = before + len(ids)
        return replies

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


def _in_rows(
    generator: Generator, questions: Sequence[_Question], tokenizer: Any
) -> Iterator[tuple[int, Reply]]:
    """(number, reply) of each question, as replies end.

    A row never waits for the longest reply of its neighbours: it takes the next question as soon
    as its own reply has ended.
    """
    waiting = iter(questions)
    asked: dict[int, _Question] = {}
    written: dict[int, list[int]] = {}
    while True:
        for slot in range(generator.slots):
            if slot not in asked and (question := next(waiting, None)) is not None:
                asked[slot], written[slot] = question, []
                generator.reset(slot, seed=question.seed)
        if not asked:
            return
        # Rows with part of a reply have read their chat already.
        generator.read({slot: q.ids for slot, q in asked.items() if not written[slot]})
        for slot, ids in generator.write(asked, PIECE).items():
            written[slot] += ids
            if ids[-1] == generator.eos_id:
                question = asked.pop(slot)
                reply = written.pop(slot)
                prompt = len(question.ids)
                yield question.number, read_reply(tokenizer, reply, prompt, generator.max_new)
