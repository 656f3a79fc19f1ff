"""What answers chats, wherever it runs.

Games, memory writers, judges and everything else that needs text ask a `Speaker`; none of them
knows whether the model runs here or behind a server.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from duomem_jax.base.ranges import Length, Seed, Temperature, options
from duomem_jax.records.chat import Chat

LONGEST = 8192  # tokens of a conversation here, unless other ones are asked for
SLOTS = 32  # chats at once, unless other ones are asked for


@options
class Sampling:
    """How replies are drawn."""

    max_new: Length  # tokens a reply may have, end of turn included
    temperature: Temperature = 0.0  # 0: the likeliest token
    seed: Seed = 0  # of what is drawn, together with the chat
    # JSON schema of the reply. A model that runs here can write nothing else; a served one is asked
    # to, and `speak.parse.parse` tells whether it did.
    schema: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Request:
    """One question of many that are answered side by side.

    Attributes:
        chat: up to a user message.
        how: the reply is drawn.
        expert: who answers, of a model with several experts (`speak.open.open_experts`); "" is the
            model without any. A speaker that has no experts answers everything itself.
    """

    chat: Chat
    how: Sampling
    expert: str = ""


@dataclass(frozen=True)
class Reply:
    """What a model wrote.

    Attributes:
        text: without its reasoning; "" where it wrote nothing else.
        cut: it used up all the tokens it was given. A reply under a schema that is not cut
            satisfies it, if its model runs here.
        prompt_tokens: length of the whole conversation before the reply; 0 if not told.
        new_tokens: length of the reply, reasoning included; 0 if not told.
    """

    text: str
    cut: bool
    prompt_tokens: int
    new_tokens: int


class Conversations(Protocol):
    """Many chats that go on turn by turn, each in a numbered slot."""

    @property
    def slots(self) -> int:
        """How many at once."""
        ...

    @property
    def setup_seconds(self) -> float:
        """One-off work so far (compiling)."""
        ...

    def start(self, slot: int, seed: Seed) -> None:
        """Begin a chat in an empty slot.

        Args:
            slot: its number.
            seed: what is drawn in it depends on this and on what was said, on nothing else.
        """
        ...

    def reply(self, chats: Mapping[int, Chat]) -> dict[int, Reply | None]:
        """The next reply in each named slot; None: the chat does not fit (any more).

        Args:
            chats: each whole, up to a user message. It continues the one that was last given in
                its slot, with one message more for the reply to that. A model that runs here reads
                what is new alone, and remembers that reply as it wrote it.
        """
        ...

    def stop(self, slot: int) -> None:
        """End the chat in a slot, which is empty then."""
        ...


class Speaker(Protocol):
    """A model that answers chats.

    Attributes:
        name: who it is, as episodes and memories record it.
    """

    name: str

    @property
    def sees(self) -> bool:
        """Whether chats may show it pictures."""
        ...

    def identity(self) -> dict[str, Any]:
        """What its answers depend on, as JSON: contents, never places."""
        ...

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in their order; None where the chat does not fit.

        Chats are taken as they are needed. A reply depends on its chat and `how` alone.

        Raises:
            UserError: a chat cannot be rendered, or a server does not answer.
        """
        ...

    def answer(self, requests: Iterable[Request]) -> Iterator[Reply | None]:
        """One reply to each request, in their order; None where the chat does not fit.

        Requests of several experts, lengths and schemas go side by side. A reply depends on its own
        request alone.

        Raises:
            UserError: as `reply`; or there is no such expert, or a schema cannot be constrained.
        """
        ...

    def conversations(self, slots: int | None, how: Sampling) -> Conversations:
        """Chats that go on, at most `slots` at once; each gets its seed when it starts.

        Args:
            slots: None: `SLOTS`, or fewer where memory is short.
            how: how replies are drawn.

        Raises:
            UserError: there is no memory for so many.
        """
        ...
