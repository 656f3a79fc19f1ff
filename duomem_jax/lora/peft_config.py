"""A PEFT adapter's config: each field is applied, known to change nothing, or refused by name.

PEFT adds fields with each version. One that is not listed here is refused unless its value says
that it is not in use: ignored, it would give other outputs without an error.
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import read_json
from duomem_jax.models.lora import ALL, LARGEST_RANK, TARGETS, LoraConfig
from duomem_jax.records.there import instead

FILE = "adapter_config.json"
RETRAIN = "train a plain LoRA adapter"

# What `_lora_config` reads.
APPLIED = {"r", "lora_alpha", "target_modules", "use_rslora", "lora_dropout"}
# What says where an adapter comes from, how it was trained, or what only goes with a field that is
# refused when it is in use. The last line has fields of PEFT's first versions and of ms-swift.
HARMLESS = {
    *("base_model_name_or_path", "revision", "auto_mapping", "peft_version", "inference_mode"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config"),  # of starts: see below
    *("megatron_core", "qalora_group_size", "layers_pattern", "ensure_weight_tying"),
    "exclude_modules",  # what has no tensors for it is not adapted, and must be no decoder's layer
    "fan_in_fan_out",  # PEFT itself takes it back for linear layers, and ours all are
    "runtime_config",  # where things lie while they are computed
    *("merge_weights", "lora_dtype", "lorap_lr_ratio", "lorap_emb_lr"),
}


class _Known(NamedTuple):
    """A field that only some values of are supported.

    Attributes:
        values: those.
        remedy: for the others.
    """

    values: tuple[Any, ...]
    remedy: str = RETRAIN


SUPPORTED = {
    "peft_type": _Known(("LORA",)),
    "task_type": _Known((None, "CAUSAL_LM"), "give an adapter of a causal language model"),
    "bias": _Known(("none",)),
    # Other starts (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change the base that the adapter adds to.
    "init_lora_weights": _Known(
        (None, True, False, "gaussian", "eva", "orthogonal", "mica"),
        "its start changed the base model: save it with PEFT's "
        "path_initial_model_for_weight_conversion, or train from another start",
    ),
    # An empty object would put these to use with their defaults.
    **dict.fromkeys(
        ("velora_config", "monteclora_config", "use_bdlora", "arrow_config", "kasa_config"),
        _Known((None, False)),
    ),
}


def read_adapter_config(folder: str | os.PathLike) -> LoraConfig:
    """Rank, alpha and targets of a PEFT folder.

    Raises:
        UserError: not a plain LoRA adapter; the sentence names the field and its value.
    """
    path = Path(folder) / FILE
    raw = read_json(
        path, missing=instead(folder, "a PEFT adapter"), damaged="export the adapter again"
    )
    raw = {"peft_type": None} | raw  # without it the file may be of another kind of adapter
    for field, value in raw.items():
        _check_supported(path, field, value)
    return _lora_config(path, raw)


def _check_supported(path: Path, field: str, value: Any) -> None:
    if field in APPLIED | HARMLESS:
        return
    known = SUPPORTED.get(field)
    if known is None:
        # Empty in every way in which PEFT spells it. Not 0, which may be the number of a layer.
        unused = value is None or value is False or value in ({}, [], "")
        remedy = RETRAIN
    else:
        # By type too, as 1 equals True.
        unused = any(type(value) is type(v) and value == v for v in known.values)
        remedy = known.remedy
    if not unused:
        raise _refusal(path, field, value, remedy)


def _refusal(path: Path, field: str, value: Any, remedy: str) -> UserError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return UserError(f"{path}: field {field} = {shown} is not supported; {remedy}")


def _lora_config(path: Path, raw: dict[str, Any]) -> LoraConfig:
    """The config that the applied fields make."""
    targets: Any = raw.get("target_modules")
    targets = [ALL] if targets == ALL else targets
    rank: Any = raw.get("r")
    alpha: Any = raw.get("lora_alpha")
    rslora, dropout = raw.get("use_rslora", False), raw.get("lora_dropout", 0.0)
    # Modules by name, or by a path that ends in it.
    texts = isinstance(targets, list) and all(isinstance(name, str) for name in targets)
    names = {name.rsplit(".", 1)[-1] for name in targets} if texts else set()
    good = {
        "r": type(rank) is int and 1 <= rank <= LARGEST_RANK,
        "lora_alpha": _is_number(alpha),
        "target_modules": names and names <= {*TARGETS, ALL},
        "use_rslora": isinstance(rslora, bool),
        "lora_dropout": _is_number(dropout) and 0 <= dropout < 1,
    }
    for field, fine in good.items():
        if not fine:
            remedy = f"train a plain LoRA adapter on any of {', '.join(TARGETS)}"
            raise _refusal(path, field, raw.get(field), remedy)
    try:
        return LoraConfig(rank, float(alpha), tuple(names), rslora, float(dropout))
    except UserError as e:  # a number beyond its range
        raise UserError(f"{path}: {e}") from None


def _is_number(x: Any) -> bool:
    """Whether it is a number that a float can hold: JSON has NaN and integers of any size."""
    if isinstance(x, bool) or not isinstance(x, int | float):
        return False
    try:
        return math.isfinite(x)
    except OverflowError:
        return False
