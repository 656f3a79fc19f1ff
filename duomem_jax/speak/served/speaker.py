"""A served model that answers chats."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from duomem_jax.records.chat import Chat
from duomem_jax.speak.protocol import SLOTS, Reply, Request, Sampling
from duomem_jax.speak.served.chat import chat_request
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.server import PREFIX


class ServedSpeaker:
    """Answers chats through a `ServedModel`; a `Speaker`."""

    def __init__(self, model: ServedModel):
        """Speak for an open model."""
        self.name, self._model = model.name, model

    def identity(self) -> dict[str, Any]:
        """The model's name, wherever its server stands."""
        return {"model": f"{PREFIX}{self.name}"}

    @property
    def sees(self) -> bool:
        """Never: servers are sent words alone."""
        return False

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in order, several asked for at once; each is paid once."""
        return self.answer(Request(chat, how) for chat in chats)

    def answer(self, requests: Iterable[Request]) -> Iterator[Reply | None]:
        """One reply to each request, in order; the model answers for every expert."""
        return self._model.ask(chat_request(self.name, r.chat, r.how) for r in requests)

    def conversations(self, slots: int | None, how: Sampling) -> "ServedConversations":
        """Chats of which each request holds the whole; as many as are wanted."""
        return ServedConversations(self._model, how, slots or SLOTS)


class ServedConversations:
    """Chats that go on behind a server; all replies of a round are asked for at once.

    A chat that was interrupted is had again from its start: the stored answers bring it to where it
    was.
    """

    setup_seconds = 0.0  # nothing to compile

    def __init__(self, model: ServedModel, how: Sampling, slots: int):
        """Begin without chats; `how` holds for all of them but for its seed."""
        self._model, self._how, self.slots = model, how, slots
        self._sampling: dict[int, Sampling] = {}

    def start(self, slot: int, seed: int) -> None:
        """Give a slot its seed."""
        self._sampling[slot] = dataclasses.replace(self._how, seed=seed)

    def reply(self, chats: Mapping[int, Chat]) -> dict[int, Reply | None]:
        """The next reply in each named slot."""
        name = self._model.name
        # The whole chat each time, since the server keeps nothing of it between requests.
        requests = (chat_request(name, chat, self._sampling[s]) for s, chat in chats.items())
        return dict(zip(chats, self._model.ask(requests), strict=True))

    def stop(self, slot: int) -> None:
        """Empty a slot."""
        del self._sampling[slot]
