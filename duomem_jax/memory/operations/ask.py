"""Asking a model for JSON, and counting what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from duomem_jax.memory.store.keeper import Rejected
from duomem_jax.records.chat import Chat, text_of
from duomem_jax.records.results import Usage
from duomem_jax.speak.parse import parse
from duomem_jax.speak.protocol import Request, Sampling, Speaker


@dataclass
class Tally:
    """What one operation has taken so far, and what became of the replies.

    Attributes:
        calls: chats that a model was asked.
        repaired: replies whose JSON was repaired.
        rejected: replies, and operations in them, that are not done.
        cost: tokens and time.
    """

    calls: int = 0
    repaired: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    cost: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Question:
    """A chat, and the JSON schema of its reply."""

    chat: Chat
    schema: dict[str, Any]


class Asker:
    """Asks one model for one operation.

    Attributes:
        tally: over all calls.
    """

    def __init__(self, speaker: Speaker, max_new: int):
        """Count from zero.

        Args:
            speaker: the model, or one expert of it.
            max_new: tokens of a reply.
        """
        self._speaker, self._max_new = speaker, max_new
        self.tally = Tally()

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """The value of each reply, which satisfies its schema; None where there is none."""
        start = time.monotonic()
        requests = [
            Request(question.chat, Sampling(self._max_new, schema=question.schema))
            for question in questions
        ]
        values: list[Any] = []
        prompt = new = 0
        for question, reply in zip(questions, self._speaker.answer(requests), strict=True):
            if reply is None:
                self.reject("the chat does not fit the model", text_of(question.chat[-1])[:80])
                values.append(None)
                continue
            prompt, new = prompt + reply.prompt_tokens, new + reply.new_tokens
            parsed = parse(reply, question.schema)
            self.tally.repaired += parsed.how == "repaired"
            if parsed.how == "rejected":
                self.reject(parsed.why, reply.text)
            values.append(parsed.value)
        self.tally.calls += len(questions)
        before = self.tally.cost
        self.tally.cost = Usage(
            before.prompt_tokens + prompt,
            before.new_tokens + new,
            before.seconds + time.monotonic() - start,
        )
        return values

    def reject(self, why: str, text: str) -> None:
        """Take down what is not done."""
        self.tally.rejected.append(Rejected(text, why))
