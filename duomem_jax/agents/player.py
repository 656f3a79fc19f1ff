"""What an arm of a comparison is made of, and how it is brought to life."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from duomem_jax.agents.lm import LMPolicy
from duomem_jax.agents.policy import EachAlone, Policy
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import PLAY, system_text
from duomem_jax.decode.generator import Generator
from duomem_jax.lora.open import content_name, open_model
from duomem_jax.lora.peft import adapter_fingerprint
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.locate import model_path
from duomem_jax.models.quantize import Quantize
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.speak.served.server import Server, served_name
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.worlds.base import World

LONGEST = 8192  # tokens of a conversation unless asked for more: all caches are held at once
_RUN_HERE = ("adapter", "max_len", "dtype", "quantize")  # fields that a served model has no use for


@dataclasses.dataclass(frozen=True)
class Arm:
    """A player: a model, with or without an adapter, with or without memories."""

    name: str  # in the report
    model: str  # folder, hub id, shipped model, openai:NAME, or one of the world's own players
    adapter: str = ""  # PEFT folder
    memory: str = ""  # folder of a memory bank
    k: int = 4  # memories shown
    embedder: str = "hashing"  # must be the one the bank was embedded with
    system: str = ""  # system message, or @FILE of it; empty: none, for openai:NAME @play
    max_len: int = 0  # tokens a conversation may have; 0: what the model can, at most 8,192
    max_new: int = 128  # tokens a reply may have
    temperature: float = 0.0  # 0: the likeliest token
    dtype: Literal["float32", "bfloat16"] = "float32"
    quantize: Quantize = ""  # the model's kernels


def located(arm: Arm, world: World) -> Arm:
    """The arm with the folder its model lies in and the text of its system message.

    A name of a rule-based player of the world stays as it is.

    Raises:
        UserError: there is no such model or file.
    """
    served = served_name(arm.model)
    model = arm.model if arm.model in world.players or served else model_path(arm.model)
    # A served model has not learnt how to play, so it is told unless something else is said.
    system = system_text(arm.system or (PLAY if served else ""), world.prompt)
    return dataclasses.replace(arm, model=model, system=system)


@contextlib.contextmanager
def open_policy(
    arm: Arm, world: World, *, slots: int, server: Server = Server(), record: Path
) -> Iterator[Policy]:
    """Everything an arm needs, for as long as it plays.

    Args:
        arm: what to play with.
        world: what is played, which may have a player of that name.
        slots: games played at once.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `served.model.ServedModel`.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others; or a server is not
            usable.
    """
    if arm.max_new < 2:
        raise UserError(f"arm {arm.name}: max_new is {arm.max_new}; a reply needs at least 2")
    if name := served_name(arm.model):
        from duomem_jax.agents.served import ServedPolicy
        from duomem_jax.speak.served.model import ServedModel

        with ServedModel(name, server, record) as model:
            yield ServedPolicy(
                model,
                system=arm.system,
                bank=_bank(arm),
                k=arm.k,
                max_new=arm.max_new,
                temperature=arm.temperature,
            )
    else:
        yield load_policy(arm, world, slots=slots)


def load_policy(arm: Arm, world: World, *, slots: int) -> Policy:
    """Load everything needed by an arm that runs here.

    Args:
        arm: what to play with.
        world: what is played, which may have a player of that name.
        slots: games played at once.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others.
    """
    if make_player := world.players.get(arm.model):
        return EachAlone(arm.model, lambda task, seed: make_player())
    tokenizer = load_tokenizer(arm.model)
    opened = open_model(
        arm.model, arm.adapter, dtype=arm.dtype, quantize=arm.quantize, decoding=True
    )
    generator = Generator(
        opened.model,
        opened.base,
        opened.lora,
        slots=slots,
        max_len=_max_len(arm, opened.model.config.max_len),
        eos_id=chat_tokens(tokenizer).end_id,
        max_new=arm.max_new,
        temperature=arm.temperature,
    )
    name = content_name(arm.model, arm.adapter)
    return LMPolicy(name, tokenizer, generator, system=arm.system, bank=_bank(arm), k=arm.k)


def identity(arm: Arm, world: World) -> dict[str, Any]:
    """The arm with its folders replaced by what is in them: what its results depend on.

    Raises:
        UserError: a folder is missing or damaged.
    """
    if arm.model in world.players:
        return {"name": arm.name, "model": arm.model}
    if served_name(arm.model):
        return _served_identity(arm)
    content = {"model": fingerprint(arm.model)}
    if arm.adapter:
        content["adapter"] = adapter_fingerprint(arm.adapter)
    if arm.memory:
        content["memory"] = content_hash(arm.memory)
    return dataclasses.asdict(arm) | content


def _served_identity(arm: Arm) -> dict[str, Any]:
    """A served model is its name, wherever its server stands."""
    fields = {f.name: f.default for f in dataclasses.fields(arm)}
    for name in _RUN_HERE:
        if getattr(arm, name) != fields.pop(name):
            raise UserError(
                f"arm {arm.name}: {name} is for models that run here, and {arm.model} is served; "
                "omit it"
            )
    content = {name: getattr(arm, name) for name in fields}
    return content | ({"memory": content_hash(arm.memory)} if arm.memory else {})


def _bank(arm: Arm) -> MemoryBank | None:
    return MemoryBank.load(arm.memory, make_embedder(arm.embedder)) if arm.memory else None


def _max_len(arm: Arm, made_for: int) -> int:
    if arm.max_len > made_for:
        raise UserError(
            f"arm {arm.name}: max_len {arm.max_len} is more than the {made_for} tokens that "
            f"{arm.model} was made for; lower it"
        )
    return arm.max_len or min(made_for, LONGEST)
