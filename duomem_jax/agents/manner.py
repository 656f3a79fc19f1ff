"""How a model is spoken to when it plays: as it was trained, unless the user wants otherwise.

This is the one place that decides it, for playing, evaluating, comparing and all others.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.agents.play import Recall, Talk
from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import record_of
from duomem_jax.base.io import read_json
from duomem_jax.base.prompts import system_text
from duomem_jax.lora.peft import NOTES
from duomem_jax.models.locate import model_path
from duomem_jax.models.shipped import NAMES, model_folder
from duomem_jax.speak.served.server import served_name
from duomem_jax.worlds.base import World

FIELD = "play"  # of the notes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a model or an adapter was trained with; it is kept in their notes (`duomem.json`)."""

    system: str = ""  # content of the system message; "" for none
    k: int | None = None  # memories shown before a game; None: it was shown none
    max_new: int | None = None  # tokens that its replies need; None: not known

    @classmethod
    def read(cls, folder: str) -> "Trained | None":
        """What the notes in a folder say; None where there are none, so that it was not trained.

        Raises:
            UserError: damaged notes.
        """
        path = Path(folder) / NOTES
        if not path.exists():
            return None
        remedy = "copy it again from where it was made"
        # Notes from before this was kept: trained, with what is usual.
        found = read_json(path, missing=remedy, damaged=remedy).get(FIELD, {})
        try:
            return record_of(cls, found)
        except TypeError as e:
            raise UserError(f"{path}: field {FIELD}: {e}; {remedy}") from None


@dataclass(frozen=True)
class Manner:
    """What a player is told and shown, and how long it may answer.

    Attributes:
        system: content of the system message; "" for none.
        k: memories shown before a game.
        max_new: tokens a reply may have.
        unlike: where that is not what it was trained with, in words.
    """

    system: str
    k: int
    max_new: int
    unlike: tuple[str, ...] = ()

    def tell(self, player: str) -> None:
        """Log one line where a player plays otherwise than it was trained."""
        if self.unlike:
            log.info(f"{player}: plays with {', '.join(self.unlike)}")


def manner(model: str, adapter: str, talk: Talk, recall: Recall, world: World) -> Manner:
    """How a model is to play.

    Args:
        model: folder, hub id, shipped model, or openai:NAME.
        adapter: PEFT folder; "" for none.
        talk: what the user wants it to be told.
        recall: what the user wants it to be shown.
        world: whose prompt `@play` stands for.

    Raises:
        UserError: no such model or prompt, or damaged notes.
    """
    known = None if served_name(model) else _trained(model_path(model), adapter)
    # A model that was not trained on these games is told the rules.
    trained = known or Trained(system=world.prompt)
    system = system_text(talk.system, world.prompt) if talk.system else trained.system
    shown = recall if recall.k is not None else dataclasses.replace(recall, k=trained.k)
    reply = talk if talk.max_new is not None else dataclasses.replace(talk, max_new=trained.max_new)
    unlike = []
    if known and system != known.system:
        unlike.append("another system message than it was trained with")
    # Without memories their number says nothing.
    if known and recall.memory and known.k not in (None, shown.shown):
        unlike.append(f"k {shown.shown}, trained with {known.k}")
    if known and known.max_new is not None and reply.reply_tokens < known.max_new:
        unlike.append(f"max_new {reply.reply_tokens}, trained with {known.max_new}")
    return Manner(system, shown.shown, reply.reply_tokens, tuple(unlike))


def _trained(folder: str, adapter: str) -> Trained | None:
    """What is known of a model that runs here."""
    if adapter and (found := Trained.read(adapter)):
        return found
    # The shipped ones were trained to play, without a word about it.
    shipped = {model_folder(name).resolve() for name in NAMES}
    return Trained() if Path(folder).resolve() in shipped else Trained.read(folder)
