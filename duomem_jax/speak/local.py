"""A model that runs here and answers chats."""

import contextlib
import functools
import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.sample import derived_seed
from duomem_jax.decode.draft import Draft, Guesses
from duomem_jax.decode.generator import Generator, rows_of_a_call
from duomem_jax.decode.grammar import Grammars
from duomem_jax.lora.open import Opened
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records.chat import Chat, PicturePart
from duomem_jax.speak.conversations import LocalConversations, read_reply
from duomem_jax.speak.looked import looked_at, shown_in
from duomem_jax.speak.protocol import Reply, Request, Sampling
from duomem_jax.speak.room import Room
from duomem_jax.text.tokenizer import chat_tokens, check_ids

WINDOW = 512  # chats taken from the caller at once
PIECE = 32  # tokens written between two looks at which replies have ended

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Question:
    """A chat that waits for its reply.

    Attributes:
        number: in its window.
        ids: tokens of the chat.
        seed: of its sampling.
        how: its reply is drawn.
        adapter: which one of a stack answers.
        pictures: of the chat.
    """

    number: int
    ids: list[int]
    seed: int
    how: Sampling
    adapter: int
    pictures: list[PicturePart]


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
        eyes: Eyes | None = None,
        draft: Draft | None = None,
    ):
        """Get ready; nothing is allocated yet.

        Args:
            name: who the model is.
            opened: its weights, opened with `decoding`.
            tokenizer: its own, with a chat template.
            identity: what its answers depend on.
            room: what there is memory for.
            ends: tokens that end a reply beside the template's end of turn.
            eyes: of the model; None: it does not see.
            draft: who guesses tokens ahead.

        Raises:
            UserError: the tokenizer has ids that the model lacks.
        """
        framing = chat_tokens(tokenizer).framing
        check_ids(name, tokenizer, opened.model.config.vocab_size, framing)
        self.name, self._ends, self._draft = name, ends, draft
        self._room, self._max_len = room, room.max_len
        self._opened, self._tokenizer, self._identity = opened, tokenizer, identity
        self._chat, self._eyes = chat_tokens(tokenizer), eyes
        self._idle: list[Generator] = []  # one at most
        self._guesses: list[Guesses] = []  # of every generator so far

    def identity(self) -> dict[str, Any]:
        """Contents of the model's files and how they are held."""
        return self._identity

    @property
    def sees(self) -> bool:
        """Whether it has eyes."""
        return self._eyes is not None

    @property
    def guesses(self) -> Guesses:
        """What was guessed so far in all replies."""
        own = self._guesses
        return Guesses(sum(g.made for g in own), sum(g.right for g in own))

    def tell(self) -> None:
        """Log how many guesses were right, if there were any."""
        if (guesses := self.guesses).made:
            log.info(f"{self.name}: {guesses}")

    def conversations(
        self, slots: int | None, how: Sampling, expert: str = ""
    ) -> LocalConversations:
        """Chats in the rows of one cache, none of whose tokens is read twice."""
        self._check_length(how)
        generator = self._generator(self._room.slots(slots), how)
        adapter = self._adapter(expert)
        constraint = None
        if how.schema is not None:
            constraint = functools.partial(self._grammars.constraint, how.schema)
        return LocalConversations(generator, self._tokenizer, adapter, constraint, self._eyes)

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in order; a row whose reply has ended takes the next chat."""
        return self.answer(Request(chat, how) for chat in chats)

    def answer(self, requests: Iterable[Request]) -> Iterator[Reply | None]:
        """One reply to each request, in order, whatever their experts, lengths and schemas."""
        waiting = iter(requests)
        with contextlib.ExitStack() as stack:
            generator: Generator | None = None
            while window := list(itertools.islice(waiting, WINDOW)):
                fitting = self._fitting(window)
                if fitting and generator is None:
                    # By the window, not by its chats that fit: more of the next one may. Only the
                    # last window is short, and where it is the first, no other follows.
                    generator = stack.enter_context(self._borrowed(len(window)))
                fits = {question.number for question in fitting}
                replies = self._in_rows(generator, fitting) if generator else iter(())
                found: dict[int, Reply] = {}
                for number in range(len(window)):
                    # Replies end in any order; those that are ahead of their turn wait.
                    while number in fits and number not in found:
                        ended, reply = next(replies)
                        found[ended] = reply
                    yield found.pop(number, None)

    def _fitting(self, window: Sequence[Request]) -> list[_Question]:
        """Those requests that leave room for a reply."""
        questions = []
        for number, request in enumerate(window):
            chat, how = request.chat, request.how
            self._check_length(how)
            if how.schema is not None:
                # Before anything is read: a schema that cannot be used loses no replies.
                self._grammars.constraint(how.schema)
            # Seeded by what is said, not by its number: order, windows and shards change no reply.
            seed = derived_seed(how.seed, json.dumps(chat))
            ids, adapter = self._chat.since(chat, sight=self._eyes), self._adapter(request.expert)
            shown = shown_in(chat)
            questions.append(_Question(number, ids, seed, how, adapter, shown))
        return [q for q in questions if len(q.ids) + q.how.max_new <= self._max_len]

    def _check_length(self, how: Sampling) -> None:
        # Otherwise every chat would be too long, and every game lost, without a word.
        if how.max_new >= self._max_len:
            raise UserError(
                f"{self.name}: a reply of {how.max_new:,} tokens leaves no room in a conversation "
                f"of {self._max_len:,}; lower max_new or raise max_len"
            )

    def _adapter(self, expert: str) -> int:
        """Which adapter of a stack an expert is; here there is none."""
        return 0

    @functools.cached_property
    def _grammars(self) -> Grammars:
        return Grammars(self._tokenizer, self._ends)

    @contextlib.contextmanager
    def _borrowed(self, chats: int) -> Iterator[Generator]:
        """The generator of the last call, or a new one if so many chats want another size."""
        # Few chats do not pay for idle rows, and few sizes are compiled.
        slots = self._usual(min(1 << (chats - 1).bit_length(), rows_of_a_call()))
        # Taken out meanwhile: another call, perhaps of another thread, makes one of its own.
        try:
            generator = self._idle.pop()
        except IndexError:
            generator = None
        if generator is None or generator.slots != slots:
            generator = None  # before there is another cache
            generator = self._generator(slots, Sampling(PIECE))
        whole = False
        try:
            yield generator
            whole = True
        except GeneratorExit:
            whole = True  # the caller wants no more replies
            raise
        finally:
            # A call that failed may have taken the cache with it.
            if whole:
                for slot in range(slots):
                    generator.reset(slot)
                self._idle[:] = [generator]

    def _usual(self, slots: int) -> int:
        idle = self._idle
        # What has room already need not be looked for, nor told, again.
        return slots if idle and idle[0].slots == slots else self._room.slots(usual=slots)

    def _generator(self, slots: int, how: Sampling) -> Generator:
        generator = Generator(
            self._opened.model,
            self._opened.base,
            self._opened.lora,
            slots=slots,
            max_len=self._max_len,
            eos_id=self._chat.end_id,
            max_new=how.max_new,
            temperature=how.temperature,
            ends=self._ends,
            draft=self._draft,
        )
        self._guesses.append(generator.guesses)
        return generator

    def _in_rows(
        self, generator: Generator, questions: Sequence[_Question]
    ) -> Iterator[tuple[int, Reply]]:
        """(number, reply) of each question, as replies end.

        A row never waits for the longest reply of its neighbours: it takes the next question as
        soon as its own reply has ended.
        """
        waiting = iter(questions)
        asked: dict[int, _Question] = {}
        written: dict[int, list[int]] = {}
        while True:
            new: dict[int, _Question] = {}
            for slot in range(generator.slots):
                if slot not in asked and (question := next(waiting, None)) is not None:
                    new[slot] = asked[slot] = question
                    written[slot] = []
                    self._begin(generator, slot, question)
            if not asked:
                return
            generator.read(
                {slot: question.ids for slot, question in new.items()},
                looked_at(self._eyes, {s: (q.ids, q.pictures) for s, q in new.items()}),
            )
            for slot, question in new.items():
                if (schema := question.how.schema) is not None:
                    generator.constrain(slot, self._grammars.constraint(schema))
            for slot, ids in generator.write(asked, PIECE).items():
                written[slot] += ids
                if ids and ids[-1] == generator.eos_id:
                    question = asked.pop(slot)
                    yield question.number, self._ended(generator, slot, question, written.pop(slot))

    def _begin(self, generator: Generator, slot: int, question: _Question) -> None:
        how = question.how
        generator.reset(
            slot,
            question.seed,
            question.adapter,
            max_new=how.max_new,
            temperature=how.temperature,
        )

    def _ended(
        self, generator: Generator, slot: int, question: _Question, ids: Sequence[int]
    ) -> Reply:
        reply = read_reply(self._tokenizer, ids, len(question.ids), question.how.max_new)
        if question.how.schema is None:
            return reply
        return replace(reply, cut=not generator.complete(slot))
