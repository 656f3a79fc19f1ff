"""Several experts of one base: each row of a batch has its own adapter."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.decode.draft import Draft
from duomem_jax.lora.open import Opened
from duomem_jax.lora.peft import adapter_fingerprint, load_adapter
from duomem_jax.lora.tree import Adapter, stack
from duomem_jax.models.hf import decoder_naming, fingerprint
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records.chat import Chat
from duomem_jax.speak.conversations import LocalConversations
from duomem_jax.speak.local import LocalSpeaker
from duomem_jax.speak.protocol import Reply, Request, Sampling, Speaker
from duomem_jax.speak.room import Room

BASE = 0  # its place in a stack of adapters


@dataclass(frozen=True)
class Expert:
    """One of several.

    Attributes:
        name: who it is, as a model with this adapter alone would be called.
        identity: what its answers depend on, also as if it were alone.
        place: of its adapter in the stack.
    """

    name: str
    identity: dict[str, Any]
    place: int


class Experts(LocalSpeaker):
    """A model and its experts, in memory once; a `Speaker`.

    Without the name of an expert the base answers.
    """

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
        *,
        experts: Mapping[str, Expert],
    ):
        """Get ready, as `LocalSpeaker`.

        Args:
            name: of the base.
            opened: the base with a stack of adapters (`with_experts`).
            tokenizer: the base's.
            identity: what the answers of all depend on.
            room: what there is memory for.
            ends: tokens that end a reply beside the template's end of turn.
            eyes: of the base; None: it does not see.
            draft: who guesses tokens ahead.
            experts: by their names.
        """
        super().__init__(name, opened, tokenizer, identity, room, ends, eyes, draft)
        self._experts = dict(experts)

    def expert(self, name: str, through: Speaker | None = None) -> "ExpertSpeaker":
        """One of the experts as a speaker of its own, which shares all there is.

        Args:
            name: of the expert.
            through: who passes its requests on to all experts; None: they ask at once.

        Raises:
            UserError: there is none of this name.
        """
        return ExpertSpeaker(self, name, self._find(name), through or self)

    def _adapter(self, expert: str) -> int:
        return self._find(expert).place if expert else BASE

    def _find(self, name: str) -> Expert:
        if name not in self._experts:
            known = ", ".join(sorted(self._experts)) or "none"
            raise UserError(f"{self.name}: no expert {name!r}; the experts are: {known}")
        return self._experts[name]


class ExpertSpeaker:
    """One expert of several; a `Speaker`."""

    def __init__(self, experts: Experts, key: str, expert: Expert, asked: Speaker):
        """Speak for an expert.

        Args:
            experts: all of them.
            key: its name among them.
            expert: who it is.
            asked: who answers for all of them.
        """
        self.name = expert.name
        self._experts, self._key, self._expert, self._asked = experts, key, expert, asked

    def identity(self) -> dict[str, Any]:
        """That of the base under this adapter alone."""
        return self._expert.identity

    @property
    def sees(self) -> bool:
        """Whether the base does."""
        return self._experts.sees

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in order."""
        return self._asked.answer(Request(chat, how, self._key) for chat in chats)

    def answer(self, requests: Iterable[Request]) -> Iterator[Reply | None]:
        """One reply to each request, in order, all from this expert."""
        return self._asked.answer(
            dataclasses.replace(request, expert=self._key) for request in requests
        )

    def conversations(self, slots: int | None, how: Sampling) -> LocalConversations:
        """Chats that go on with this expert."""
        return self._experts.conversations(slots, how, self._key)


def with_experts(opened: Opened, experts: Mapping[str, str]) -> tuple[Opened, dict[str, int]]:
    """A base with a stack of adapters, and the place of each expert in it.

    Args:
        opened: the base alone.
        experts: names and PEFT folders; "" is the base.

    Raises:
        UserError: a folder is no adapter of this base.
    """
    base, naming = fingerprint(opened.folder), decoder_naming(opened.folder)
    found: dict[str, Adapter] = {}
    places = {}
    for name, folder in experts.items():
        # By content: who gives one adapter for two operations pays for it once.
        key = adapter_fingerprint(folder) if folder else ""
        if folder and key not in found:
            found[key] = load_adapter(folder, opened.model, base, naming)
        places[name] = 1 + list(found).index(key) if folder else BASE
    if not found:
        return opened, places
    # The base is an adapter of no projection, which makes zeros in all of the stack's.
    adapters = [Adapter({}, next(iter(found.values())).config), *found.values()]
    tree, config = stack(adapters)
    return dataclasses.replace(opened, model=opened.model.with_lora(config), lora=tree), places
