"""Who plays: the record that the command line fills, and how it is brought to life."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.manner import Manner, manner
from duomem_jax.agents.play import Recall, Talk
from duomem_jax.agents.policy import EachAlone, Policy
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import readable
from duomem_jax.memory.bank import bank_content
from duomem_jax.speak.open import Local, open_speaker, speaker_identity
from duomem_jax.speak.protocol import SLOTS, Sampling
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.base import World


# The empty names keep the flags of nested records flat: `--player.memory`, not
# `--player.recall.memory`.
@dataclasses.dataclass(frozen=True)
class Player:
    """A model that plays, with or without memories."""

    name: str  # in the report
    model: str  # folder, hub id, shipped model, openai:NAME, or one of the world's own players
    recall: Annotated[Recall, tyro.conf.arg(name="")] = Recall()
    talk: Annotated[Talk, tyro.conf.arg(name="")] = Talk()
    local: Annotated[Local, tyro.conf.arg(name="")] = Local()

    def __post_init__(self) -> None:
        # It goes into reports and pictures.
        object.__setattr__(self, "name", readable(self.name))

    def manner(self, world: World) -> Manner:
        """What it is told and shown.

        Raises:
            UserError: no such model or prompt.
        """
        return manner(self.model, self.local.adapter, self.talk, self.recall, world)


@contextlib.contextmanager
def open_policy(
    player: Player,
    world: World,
    *,
    slots: int | None = None,
    server: Server = Server(),
    record: Path,
) -> Iterator[Policy]:
    """Everything a player needs, for as long as it plays.

    Args:
        player: who plays.
        world: what is played, which may have a rule-based player of that name.
        slots: games played at once; None: the usual number, fewer where memory is short.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `speak.served.model.ServedModel`.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others; or a server is not
            usable.
    """
    # A world's own player comes before a folder of the same name, and asks for no model at all. It
    # draws nothing, so neither task nor seed reaches it.
    if make_player := world.players.get(player.model):
        _refuse_options(player)
        yield EachAlone(player.model, lambda task, seed: make_player(), slots or SLOTS)
        return
    how = player.manner(world)
    how.tell(player.name)
    sampling = Sampling(how.max_new, player.talk.temperature)
    with open_speaker(player.model, player.local, server=server, record=record) as speaker:
        yield ChatPolicy(
            speaker.name,
            speaker.conversations(slots, sampling),
            system=how.system,
            bank=player.recall.open_bank(),
            k=how.k,
        )


def identity(player: Player, world: World) -> dict[str, Any]:
    """The player with its folders replaced by what is in them: what its results depend on.

    Raises:
        UserError: a folder is missing or damaged.
    """
    # Memories, prompts and sampling are nothing to a rule-based player.
    if player.model in world.players:
        _refuse_options(player)
        return {"name": player.name, "model": player.model}
    # Contents in place of paths: a bank or a prompt that was changed where it lies is another
    # player, and one that was moved is the same. A server's address is no part of it.
    how = player.manner(world)
    talk = dataclasses.asdict(player.talk) | {"system": how.system, "max_new": how.max_new}
    recalled: dict[str, Any] = {"memory": ""}
    # How many memories are shown, and who embedded them, is nothing to a player without any.
    if player.recall.memory:
        recalled = dataclasses.asdict(player.recall)
        content = bank_content(player.recall.memory)
        recalled |= {"memory": content, "k": how.k}
    speaker = speaker_identity(player.model, player.local)
    return {"name": player.name} | recalled | talk | speaker


def _refuse_options(player: Player) -> None:
    """Raise UserError where a rule-based player is given what only a model has use for."""
    for record in (player.recall, player.talk, player.local):
        for field in dataclasses.fields(record):
            if getattr(record, field.name) != field.default:
                raise UserError(
                    f"{player.model}: {field.name} is for models, and this one plays by rules; "
                    "omit it"
                )
