"""From the name that a user gives a model to a speaker: the one place that knows which is which."""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Limit, options
from duomem_jax.models.locate import model_name, model_path
from duomem_jax.models.quantize import Quantize
from duomem_jax.models.vision.config import Tiled
from duomem_jax.speak.protocol import LONGEST, Speaker
from duomem_jax.speak.served.server import PREFIX, Server, served_name

if TYPE_CHECKING:
    from duomem_jax.decode.draft import Draft
    from duomem_jax.lora.open import Opened
    from duomem_jax.speak.experts import Experts
    from duomem_jax.speak.local import LocalSpeaker
    from duomem_jax.speak.room import Room


log = logging.getLogger(__name__)


@options
class Local:
    """How a model that runs here is held; a served one has no use for any of this."""

    adapter: str = ""  # PEFT folder
    max_len: Limit = 0  # tokens a conversation may have; 0: what model and memory can, <= 8,192
    dtype: Literal["float32", "bfloat16"] = "float32"
    quantize: Quantize = ""  # the model's kernels
    # Of a picture, as those that the adapter was trained on; empty: as the model's folder says.
    tiles: Tiled = ""
    # Who guesses tokens ahead, so that the model scores several in one step: lookup (in the
    # conversation), base (the model without its adapter), or a small model. No reply depends on it.
    draft: str = ""
    draft_tokens: Annotated[int, Interval(ge=1, le=64)] = 3  # guessed at a time


def speaker_identity(model: str, local: Local = Local()) -> dict[str, Any]:
    """What a speaker's answers depend on; no weights are loaded.

    Args:
        model: folder, hub id, shipped model, or openai:NAME.
        local: how it is held if it runs here.

    Raises:
        UserError: there is no such model or adapter, or `local` was given for a served model.
    """
    if name := served_name(model):
        _refuse_local(model, local)
        # The name alone: a model that moves to another server goes on with the same folder.
        return {"model": f"{PREFIX}{name}"}
    return _local_identity(model_path(model), local)


@contextlib.contextmanager
def open_speaker(
    model: str, local: Local = Local(), *, server: Server = Server(), record: Path
) -> Iterator[Speaker]:
    """A speaker for as long as it is needed.

    Args:
        model: folder, hub id, shipped model, or openai:NAME.
        local: how it is held if it runs here.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `speak.served.model.ServedModel`.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others; or a server is not
            usable.
    """
    if name := served_name(model):
        from duomem_jax.speak.served.model import ServedModel
        from duomem_jax.speak.served.speaker import ServedSpeaker

        # Before anything is opened, and so before the record is locked.
        _refuse_local(model, local)
        with ServedModel(name, server, record) as served:
            yield ServedSpeaker(served)
        return
    speaker = load_speaker(model, local)
    yield speaker
    speaker.tell()


def load_speaker(model: str, local: Local = Local()) -> "LocalSpeaker":
    """A speaker that runs here.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others.
    """
    from duomem_jax.lora.open import content_name, open_model
    from duomem_jax.models.hf import end_tokens
    from duomem_jax.models.vision.eyes import open_eyes
    from duomem_jax.speak.local import LocalSpeaker
    from duomem_jax.text.tokenizer import load_tokenizer

    folder = model_path(model)
    # Before anything large is read: what has no room is refused at once.
    room = _room(folder, local)
    log.info("%s: loading", model_name(folder))
    opened = open_model(
        folder, local.adapter, dtype=local.dtype, quantize=local.quantize, decoding=True
    )
    tokenizer = load_tokenizer(folder)
    return LocalSpeaker(
        content_name(folder, local.adapter),
        opened,
        tokenizer,
        _local_identity(folder, local),
        room,
        ends=end_tokens(folder),
        eyes=open_eyes(folder, local.tiles, local.dtype),
        draft=_draft(local, opened, tokenizer, room),
    )


def open_experts(model: str, experts: Mapping[str, str], local: Local = Local()) -> "Experts":
    """One base that is in memory once, and several adapters of it.

    Args:
        model: folder, hub id or shipped model.
        experts: names and PEFT folders; ranks and targets may differ. An empty folder makes an
            expert of the base itself, so that one that is not trained yet can be asked all the
            same.
        local: how the base is held; its `adapter` stays empty.

    Raises:
        UserError: a folder is missing, damaged or does not fit the others; or the model is served.
    """
    from duomem_jax.lora.open import content_name, open_model
    from duomem_jax.models.hf import end_tokens
    from duomem_jax.models.vision.eyes import open_eyes
    from duomem_jax.speak.experts import Expert, Experts, with_experts
    from duomem_jax.text.tokenizer import load_tokenizer

    if served_name(model):
        raise UserError(f"{model}: experts are adapters of a model that runs here; give its folder")
    if local.adapter:
        raise UserError(f"{local.adapter}: name it among the experts, and leave adapter empty")
    if "" in experts:
        raise UserError(f"{experts['']}: an expert needs a name; without one the base is asked")
    folder = model_path(model)
    room = _room(folder, local)
    log.info("%s: loading", model_name(folder))
    opened = open_model(folder, dtype=local.dtype, quantize=local.quantize, decoding=True)
    stacked, places = with_experts(opened, experts)
    who = {
        name: Expert(
            content_name(folder, adapter),
            _local_identity(folder, dataclasses.replace(local, adapter=adapter)),
            places[name],
        )
        for name, adapter in experts.items()
    }
    identity = _local_identity(folder, local)
    identity |= {"experts": {name: expert.identity["adapter"] for name, expert in who.items()}}
    tokenizer = load_tokenizer(folder)
    return Experts(
        content_name(folder),
        stacked,
        tokenizer,
        identity,
        room,
        ends=end_tokens(folder),
        eyes=open_eyes(folder, local.tiles, local.dtype),
        draft=_draft(local, stacked, tokenizer, room),
        experts=who,
    )


def _draft(local: Local, opened: "Opened", tokenizer: Any, room: "Room") -> "Draft | None":
    """Who guesses for a model that is loaded."""
    if not local.draft:
        return None
    from duomem_jax.speak.drafting import open_draft

    return open_draft(
        local.draft,
        local.draft_tokens,
        opened,
        tokenizer,
        dtype=local.dtype,
        max_len=room.max_len,
    )


def _room(folder: str, local: Local) -> "Room":
    """What a model that is not loaded yet will have room for."""
    from duomem_jax.models.hf import load_config
    from duomem_jax.models.vision.eyes import open_eyes
    from duomem_jax.speak.room import Room

    eyes, second = open_eyes(folder, dtype=local.dtype), None
    if local.draft:
        from duomem_jax.speak.drafting import Second

        second = Second.of(local.draft, folder, local.dtype)
    return Room.beside(
        folder,
        load_config(folder, local.dtype),
        local.quantize,
        local.max_len,
        second=second.config if second else None,
        more=(eyes.weight_bytes if eyes else 0) + (second.weights if second else 0),
    )


def _local_identity(folder: str, local: Local) -> dict[str, Any]:
    from duomem_jax.lora.peft import adapter_fingerprint
    from duomem_jax.models.hf import end_tokens, fingerprint
    from duomem_jax.models.vision.eyes import open_eyes
    from duomem_jax.text.tokenizer import load_tokenizer, tokenizer_fingerprint

    # Contents, not paths. How the model is held counts too: dtype, quantisation and the length at
    # which a chat no longer fits all change what it answers. So do what its chat template puts
    # around messages and the tokens that end a reply, which are in other files than the weights.
    adapter = adapter_fingerprint(local.adapter) if local.adapter else ""
    held = dataclasses.asdict(local) | {"adapter": adapter}
    # Who guesses changes no reply. Tiles count only where there are pictures (`eyes`): how other
    # models are called does not change.
    del held["draft"], held["draft_tokens"], held["tiles"]
    eyes = open_eyes(folder, local.tiles)
    own = {
        "model": fingerprint(folder),
        "tokenizer": tokenizer_fingerprint(load_tokenizer(folder)),
        "ends": list(end_tokens(folder)),
    } | held
    own |= eyes.identity() if eyes else {}
    # A length that memory has shortened makes another player of the model.
    if local.max_len or (not local.draft and _has_plenty(folder)):
        return own
    room = _room(folder, local)
    return own | ({"max_len": room.max_len} if room.short else {})


def _has_plenty(folder: str) -> bool:
    """Whether there is memory for a model and its longest conversation, by a cheap upper bound.

    The exact bytes need the shapes of the weights: seconds, which a run that is complete already
    should not take.
    """
    from duomem_jax.mesh.memory import usable_memory

    config, may_use = Path(folder) / "config.json", usable_memory()
    stored = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))
    try:
        hf = json.loads(config.read_text(encoding="utf-8"))
        heads = hf["num_attention_heads"] * (hf.get("head_dim") or 0)
        width, layers = max(hf["hidden_size"], heads), hf["num_hidden_layers"]
        # As many key heads as query heads, in float32; and the copy that a call works on.
        cache = 2 * LONGEST * layers * 2 * width * 4
    # Of another kind: refused where it is read for good.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    # Weights are stored in 8 bits at least, and held in 32 at most.
    return may_use is None or 4 * stored + cache <= may_use


def _refuse_local(model: str, local: Local) -> None:
    # Refused rather than ignored: who sets a dtype or an adapter expects it to count.
    for field in dataclasses.fields(local):
        if getattr(local, field.name) != field.default:
            raise UserError(
                f"{model}: {field.name} is for models that run here, and this one is served; omit "
                "it"
            )
