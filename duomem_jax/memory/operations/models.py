"""Which models keep memories: the options that every command shares, and how they are opened."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import options
from duomem_jax.memory.operations.keeper import Experts
from duomem_jax.memory.operations.names import EXPERTS, OPERATIONS, Name
from duomem_jax.models.locate import model_path
from duomem_jax.speak.open import Local, open_experts, open_speaker, speaker_identity
from duomem_jax.speak.served.server import Server, served_name
from duomem_jax.speak.together import Together


@options
class Models:
    """A model and its experts, one for each operation."""

    model: str = ""  # folder, hub id, shipped model or openai:NAME
    extract: str = ""  # PEFT folder of its expert; empty: the model as it is
    update: str = ""  # likewise
    answer: str = ""  # likewise
    look: str = ""  # likewise; of a model that sees
    local: Annotated[Local, tyro.conf.arg(name="")] = Local()

    def __post_init__(self) -> None:
        if self.local.adapter:
            raise UserError(
                "adapter: memories are kept by experts; give extract, update, answer or look"
            )
        for name, folder in self.experts.items():
            if folder and not self.model:
                raise UserError(f"{name}: an expert of no model; give model too")
            if folder and served_name(self.model):
                raise UserError(f"{name}: {self.model} is served and takes no adapter; omit it")

    @property
    def experts(self) -> dict[str, str]:
        """PEFT folder of each operation; "" for the model as it is."""
        return {name: getattr(self, name) for name in EXPERTS}

    def identity(self, operations: Iterable[Name] = OPERATIONS) -> dict[str, Any]:
        """What the replies of some operations depend on; JSON.

        Raises:
            UserError: a folder is missing or damaged.
        """
        return {
            name: speaker_identity(
                self.model, dataclasses.replace(self.local, adapter=self.experts[name])
            )
            for name in operations
        }

    @contextlib.contextmanager
    def open(self, server: Server, record: Path) -> Iterator[Experts]:
        """The models, for as long as they are needed; the base is in memory once.

        Args:
            server: where and how hard a served model is asked.
            record: where its answers and their cost are kept.

        Raises:
            UserError: a folder is missing, damaged or does not fit the others; no such server.
        """
        if served_name(self.model):
            with open_speaker(self.model, server=server, record=record) as speaker:
                served = Together(speaker)
                yield Experts(served, served, served, served, served)
        else:
            from duomem_jax.models.vision.eyes import open_eyes  # here, since it brings JAX

            if self.look and open_eyes(model_path(self.model)) is None:
                raise UserError(f"look: {self.model} does not see, so no expert can look; omit it")
            speakers = open_experts(self.model, self.experts, self.local)
            asked = Together(speakers)
            yield Experts(asked, *(speakers.expert(name, asked) for name in EXPERTS))
