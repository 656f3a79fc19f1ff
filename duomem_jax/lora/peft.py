"""Adapters from and to PEFT folders (adapter_config.json, adapter_model.safetensors)."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.io import atomic_dir, read_json
from duomem_jax.lora.peft_config import FILE, read_adapter_config
from duomem_jax.lora.tree import Adapter
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.naming import PLAIN, Naming
from duomem_jax.models.trees import AdapterTree

WRAPPER = "base_model.model."  # PEFT puts it before the path that transformers gives a layer
# As wide as what we hold, or less: others lose digits or are no numbers of an adapter.
FLOATS = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)
PARTS = {"a": "lora_A", "b": "lora_B"}  # our names of a projection's factors, and PEFT's
WEIGHTS = "adapter_model.safetensors"
NOTES = "duomem.json"  # what PEFT has no field for: the base's fingerprint, the run's config


class _Projection(NamedTuple):
    """One projection of an adapter tree, and where PEFT keeps it.

    Attributes:
        block: "self_attn" or "mlp".
        name: such as "q_proj".
        leaf: its a [L,D,R] and b [L,R,F].
    """

    block: str
    name: str
    leaf: dict[str, Any]

    def tensor(self, layer: int, part: str) -> str:
        """What a decoder calls the tensor that holds one layer of `part`, "a" or "b"."""
        return f"model.layers.{layer}.{self.block}.{self.name}.{PARTS[part]}.weight"


def _projections(lora: AdapterTree) -> list[_Projection]:
    return [
        _Projection(block, name, leaf)
        for block, projections in lora["layers"].items()
        for name, leaf in projections.items()
    ]


def save_adapter(
    folder: str | os.PathLike,
    lora: AdapterTree,
    config: LoraConfig,
    base_fingerprint: str,
    *,
    base_name: str,
    naming: Naming = PLAIN,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write an adapter that `peft.PeftModel.from_pretrained` opens.

    Args:
        folder: made whole or not at all; must not be there yet.
        lora: adapter tree, float32 leaves [L,D,R] and [L,R,F].
        config: its rank, alpha and targets.
        base_fingerprint: of the base it was trained on (`models.hf.fingerprint`).
        base_name: path or hub name of that base, for PEFT's readers.
        naming: what the decoder's tensors are called in that base (`models.hf.decoder_naming`).
        notes: further JSON-able facts to keep with the adapter.
    """
    from safetensors.numpy import save_file

    tensors = {}
    for projection in _projections(lora):
        # One tensor a layer: layers are stacked here, and apart in PEFT's module tree.
        for part in PARTS:
            for layer, x in enumerate(np.asarray(projection.leaf[part], np.float32)):
                # PEFT stores [out, in]; safetensors wants it contiguous, and a transpose is a view.
                name = WRAPPER + naming.written(projection.tensor(layer, part))
                tensors[name] = np.ascontiguousarray(x.T)
    with atomic_dir(folder) as tmp:
        save_file(tensors, tmp / WEIGHTS, metadata={"format": "pt"})
        _write_json(tmp / FILE, _peft_config(config, base_name, naming))
        _write_json(tmp / NOTES, {"base_fingerprint": base_fingerprint, **(notes or {})})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _peft_config(config: LoraConfig, base_name: str, naming: Naming) -> dict[str, Any]:
    # A tower has projections of the same names, which PEFT would adapt too.
    others = "|".join(re.escape(begin) + ".*" for begin in naming.others)
    excluded = {"exclude_modules": others} if others else {}
    return excluded | {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "target_modules": sorted(config.targets),
        "lora_dropout": config.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": config.rslora,
        "inference_mode": True,
    }


def load_adapter(
    folder: str | os.PathLike, model: Model, base_fingerprint: str, naming: Naming = PLAIN
) -> Adapter:
    """Read a PEFT folder for `model`.

    Args:
        folder: written by `save_adapter` or by PEFT itself.
        model: the base; its own LoraConfig is not used.
        base_fingerprint: of the base the adapter is to be used with.
        naming: what the decoder's tensors are called in that base, in any way that is read.

    Returns:
        The adapter in numpy float32.

    Raises:
        UserError: it was trained on another base, or its shapes do not fit.
    """
    folder, config = Path(folder), read_adapter_config(folder)
    _check_base(folder, base_fingerprint)
    file = folder / WEIGHTS
    tensors = _read_tensors(file, naming)
    lora: AdapterTree = {"layers": {}}
    # The base's shapes say which tensors there must be; the file's names are not parsed.
    for projection in _projections(model.with_lora(config).shapes()["lora"]):
        leaf = {part: _take_layers(tensors, projection, part, file) for part in PARTS}
        lora["layers"].setdefault(projection.block, {})[projection.name] = leaf
    # What nobody took belongs to layers that this base lacks: part of the adapter would be lost.
    if tensors:
        raise UserError(f"{file}: {min(tensors)} has no place in the base model; use its own base")
    return Adapter(lora, config)


def _read_tensors(file: Path, naming: Naming) -> dict[str, np.ndarray]:
    """The tensors of a file, by the decoder's names."""
    from safetensors.numpy import load_file

    if not file.is_file() and file.with_suffix(".bin").exists():
        raise UserError(
            f"{file}: no such file, only one of pickled weights; save the adapter with "
            "safe_serialization=True"
        )
    try:
        tensors = load_file(file)
    except Exception as e:  # of several kinds, by what is wrong with the file
        raise UserError(
            f"{file}: cannot be read ({first_line(e)}); export the adapter again"
        ) from None
    for name, x in tensors.items():
        if x.dtype not in FLOATS:
            raise UserError(f"{file}: {name} holds {x.dtype}; save the adapter in float32")
    return _named(tensors, naming, file)


def _named(tensors: dict[str, np.ndarray], naming: Naming, file: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for stored, x in tensors.items():
        name = naming.read(stored.removeprefix(WRAPPER))
        if name is None:
            raise UserError(
                f"{file}: {stored} adapts what stands before the decoder, which stays as it is; "
                "train an adapter on the decoder's layers alone (PEFT: exclude_modules)"
            )
        if name in found:
            raise UserError(f"{file}: holds {stored} under two names; export the adapter again")
        found[name] = x
    return found


def _take_layers(
    tensors: dict[str, np.ndarray], projection: _Projection, part: str, file: Path
) -> np.ndarray:
    """Remove the tensors of a projection's `part` from `tensors`; their stack over layers."""
    layers, *shape = projection.leaf[part].shape
    names = [projection.tensor(layer, part) for layer in range(layers)]
    found = [tensors.pop(name).T for name in names if name in tensors]
    if 0 < len(found) < layers:
        raise UserError(
            f"{file}: holds {projection.name} of {len(found)} of the base model's {layers} layers; "
            f"if target_modules or exclude_modules in {FILE} name single layers, which is not "
            "supported, train an adapter on all of them, else export it again"
        )
    if {x.shape for x in found} != {tuple(shape)}:
        raise UserError(
            f"{file}: {names[0]} does not fit the base model; "
            "use the base the adapter was trained on"
        )
    stacked = np.stack(found).astype(np.float32)
    if not np.isfinite(stacked).all():
        raise UserError(
            f"{file}: {projection.name} has entries that are infinite or not numbers; "
            "train the adapter again"
        )
    return stacked


def adapter_fingerprint(folder: str | os.PathLike) -> str:
    """SHA-256 (hex) of an adapter's config and weights: its identity.

    Raises:
        UserError: it is none.
    """
    read_adapter_config(folder)  # a clear sentence if it is none
    digest = hashlib.sha256()
    # The files that are read. Not duomem.json, nor a model card: they say how it was made, not what
    # it computes.
    for name in (FILE, WEIGHTS):
        try:
            digest.update(Path(folder, name).read_bytes())
        except OSError as e:
            raise UserError(
                f"{folder}/{name}: cannot be read ({e.strerror}); export the adapter again"
            ) from None
    return digest.hexdigest()


def _check_base(folder: Path, base_fingerprint: str) -> None:
    """Adapters from elsewhere carry no fingerprint: for those only the shapes can tell."""
    notes = folder / NOTES
    if not notes.exists():
        return
    again = "export the adapter again"
    wanted = read_json(notes, missing=again, damaged=again).get("base_fingerprint")
    if wanted != base_fingerprint:
        raise UserError(
            f"{notes}: base_fingerprint {str(wanted)[:12]} is not that of the given base "
            f"({base_fingerprint[:12]}); use the base the adapter was trained on"
        )
