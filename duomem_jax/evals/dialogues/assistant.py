"""Who is asked about a dialogue: the record that the command line fills, and what it is made of."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import readable
from duomem_jax.base.ranges import Count, options
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations import answer, extract, update
from duomem_jax.memory.operations.keeper import Experts
from duomem_jax.models.locate import model_path
from duomem_jax.speak.open import Local, open_experts, open_speaker, speaker_identity
from duomem_jax.speak.served.server import Server, served_name

Shown = Literal["nothing", "recent", "whole", "turns", "memories", "evidence"]
OPERATIONS = ("extract", "update", "answer")


@options
class Assistant:
    """A model that answers questions about a dialogue, and what it is shown of it."""

    name: str  # in the report
    model: str  # folder, hub id, shipped model or openai:NAME
    # Nothing; the last turns; all turns; turns that are found for the question; memories that the
    # model keeps; or the turns that the answer is in.
    shown: Shown = "memories"
    tokens: Count = 400  # of what is shown, at most; `whole` and `evidence` show all there is
    extract: str = ""  # PEFT folder of the expert; empty: the model as it is
    update: str = ""
    answer: str = ""
    embedder: str = DEFAULT_EMBEDDER  # of turns and memories
    local: Annotated[Local, tyro.conf.arg(name="")] = Local()

    def __post_init__(self) -> None:
        # It goes into reports and pictures.
        object.__setattr__(self, "name", readable(self.name))
        if self.local.adapter:
            raise UserError("adapter: an assistant has experts; give extract, update or answer")
        for name in ("extract", "update"):
            if getattr(self, name) and self.shown != "memories":
                raise UserError(
                    f"{name}: an expert of memories, and shown is {self.shown}; omit it"
                )

    @property
    def experts(self) -> dict[str, str]:
        """PEFT folder of each operation; "" for the model as it is."""
        return {name: getattr(self, name) for name in OPERATIONS}


def identity(assistant: Assistant) -> dict[str, Any]:
    """The assistant with its folders replaced by what is in them; JSON.

    Raises:
        UserError: a folder is missing or damaged.
    """
    own = {name: getattr(assistant, name) for name in ("name", "shown", "tokens")}
    prompts = {"answer": answer.PROMPT.sha256}
    if assistant.shown == "memories":
        prompts |= {"extract": extract.PROMPT.sha256, "update": update.PROMPT.sha256}
    if assistant.shown in ("turns", "memories"):
        own["embedder"] = make_embedder(assistant.embedder).name
    models = {
        name: speaker_identity(
            assistant.model, dataclasses.replace(assistant.local, adapter=assistant.experts[name])
        )
        for name in prompts
    }
    return own | {"prompts": prompts, "models": models}


@contextlib.contextmanager
def open_assistant(assistant: Assistant, server: Server, record: Path) -> Iterator[Experts]:
    """The models of an assistant, for as long as they are needed.

    Args:
        assistant: whose.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others.
    """
    if served_name(assistant.model):
        for name, folder in assistant.experts.items():
            if folder:
                raise UserError(
                    f"{name}: {assistant.model} is served and takes no adapter; omit it"
                )
        with open_speaker(assistant.model, server=server, record=record) as speaker:
            yield Experts(speaker, speaker, speaker)
        return
    # The same model is in memory once, whichever experts it has.
    speakers = open_experts(assistant.model, assistant.experts, assistant.local)
    yield Experts(*(speakers.expert(name) for name in OPERATIONS))


def counter(assistant: Assistant) -> Any:
    """What counts the tokens of a text."""
    if served_name(assistant.model):
        # Its tokenizer is not known; in English a token has about four letters.
        return lambda text: -(-len(text) // 4)
    from duomem_jax.text.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model_path(assistant.model))
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
