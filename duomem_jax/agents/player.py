"""Who plays: the record that the command line fills, and how it is brought to life."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.play import MAX_NEW, SHOWN
from duomem_jax.agents.policy import EachAlone, Policy
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.speak.open import Local, open_speaker, speaker_identity
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.server import Server, served_name
from duomem_jax.worlds.prompts import PLAY, system_text

EXPERT = "expert"


@dataclasses.dataclass(frozen=True)
class Player:
    """A model that plays, with or without memories."""

    name: str  # in the report
    model: str  # folder, hub id, shipped model, openai:NAME, or "expert"
    memory: str = ""  # folder of a memory bank
    k: int = SHOWN  # memories shown
    embedder: str = "hashing"  # must be the one the bank was embedded with
    system: str = ""  # system message, or @FILE of it; empty: none, for openai:NAME @play
    max_new: int = MAX_NEW  # tokens a reply may have
    temperature: float = 0.0  # 0: the likeliest token
    local: Annotated[Local, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Local)

    @property
    def system_message(self) -> str:
        """Content of the system message.

        Raises:
            UserError: no such file.
        """
        # A served model was not trained on these games, so it is told the rules.
        return system_text(self.system, f"@{PLAY}" if served_name(self.model) else "")


@contextlib.contextmanager
def open_policy(
    player: Player, *, slots: int, server: Server = Server(), record: Path
) -> Iterator[Policy]:
    """Everything a player needs, for as long as it plays.

    Args:
        player: who plays.
        slots: games played at once.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `served.model.ServedModel`.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others; or a server is not
            usable.
    """
    if player.model == EXPERT:
        yield _expert()
        return
    sampling = Sampling(player.max_new, player.temperature)
    with open_speaker(player.model, player.local, server=server, record=record) as speaker:
        bank = None
        if player.memory:
            bank = MemoryBank.load(player.memory, make_embedder(player.embedder))
        yield ChatPolicy(
            speaker.name,
            speaker.conversations(slots, sampling),
            system=player.system_message,
            bank=bank,
            k=player.k,
        )


def identity(player: Player) -> dict[str, Any]:
    """The player with its folders replaced by what is in them: what its results depend on.

    Raises:
        UserError: a folder is missing or damaged.
    """
    if player.model == EXPERT:
        return {"name": player.name, "model": EXPERT}
    own = {f.name: getattr(player, f.name) for f in dataclasses.fields(player)}
    del own["local"]  # part of the speaker
    content = speaker_identity(player.model, player.local) | {"system": player.system_message}
    if player.memory:
        content["memory"] = content_hash(player.memory)
    return own | content


def _expert() -> Policy:
    from duomem_jax.worlds.household.expert.player import Expert
    from duomem_jax.worlds.household.expert.prior import LocationPrior

    prior = LocationPrior.default()
    return EachAlone(EXPERT, lambda game, seed: Expert(prior))
