"""Adapters from and to PEFT folders (adapter_config.json, adapter_model.safetensors)."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, read_json
from duomem_jax.models.lora import ALL, LoraConfig
from duomem_jax.models.model import Model

PREFIX = "base_model.model.model.layers"
NOTES = "duomem.json"  # what PEFT has no field for: the base's fingerprint, the run's config


def _projections(lora: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """{("self_attn", "q_proj"): {"a": [L,D,R], "b": [L,R,F]}, ...}."""
    return {
        (block, name): leaf
        for block, projections in lora["layers"].items()
        for name, leaf in projections.items()
    }


def save_adapter(
    folder: str | os.PathLike,
    lora: dict[str, Any],
    config: LoraConfig,
    base_fingerprint: str,
    *,
    base_name: str,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write an adapter that `peft.PeftModel.from_pretrained` opens.

    Args:
        folder: replaced as a whole.
        lora: adapter tree, float32 leaves [L,D,R] and [L,R,F].
        config: its rank, alpha and targets.
        base_fingerprint: of the base it was trained on (`models.hf.fingerprint`).
        base_name: path or hub name of that base, for PEFT's readers.
        notes: further JSON-able facts to keep with the adapter.
    """
    from safetensors.numpy import save_file

    tensors = {}
    for (block, name), leaf in _projections(lora).items():
        for key, part in (("a", "lora_A"), ("b", "lora_B")):
            for layer, x in enumerate(np.asarray(leaf[key], np.float32)):
                full = f"{PREFIX}.{layer}.{block}.{name}.{part}.weight"
                tensors[full] = np.ascontiguousarray(x.T)  # PEFT stores [out, in]
    with atomic_dir(folder) as tmp:
        save_file(tensors, tmp / "adapter_model.safetensors", metadata={"format": "pt"})
        _write_json(tmp / "adapter_config.json", _peft_config(config, base_name))
        _write_json(tmp / NOTES, {"base_fingerprint": base_fingerprint, **(notes or {})})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _peft_config(config: LoraConfig, base_name: str) -> dict[str, Any]:
    return {
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


def read_adapter_config(folder: str | os.PathLike) -> LoraConfig:
    """Rank, alpha and targets of a PEFT folder.

    Raises:
        UserError: not a plain LoRA adapter.
    """
    path = Path(folder) / "adapter_config.json"
    raw = read_json(
        path, missing="give the folder of a PEFT adapter", damaged="export the adapter again"
    )
    targets: Any = raw.get("target_modules")
    targets = [ALL] if targets == ALL else targets
    refused = {
        "peft_type": raw.get("peft_type") != "LORA",
        "use_dora": raw.get("use_dora", False),
        "rank_pattern": bool(raw.get("rank_pattern")),
        "alpha_pattern": bool(raw.get("alpha_pattern")),
        "modules_to_save": bool(raw.get("modules_to_save")),
        "bias": raw.get("bias", "none") != "none",
        "target_modules": not isinstance(targets, list),
        "r": not isinstance(raw.get("r"), int),
        "lora_alpha": not isinstance(raw.get("lora_alpha"), int | float),
    }
    for field, bad in refused.items():
        if bad:
            raise UserError(
                f"{path}: field {field} = {raw.get(field)!r} is not supported; "
                "export a plain LoRA adapter"
            )
    try:
        return LoraConfig(
            raw["r"],
            float(raw["lora_alpha"]),
            tuple({name.rsplit(".", 1)[-1] for name in targets}),  # or whole paths of modules
            bool(raw.get("use_rslora", False)),
            float(raw.get("lora_dropout", 0.0)),
        )
    except UserError as e:
        raise UserError(f"{path}: {e}") from None


def load_adapter(
    folder: str | os.PathLike, model: Model, base_fingerprint: str
) -> tuple[dict[str, Any], LoraConfig]:
    """Read a PEFT folder for `model`.

    Args:
        folder: written by `save_adapter` or by PEFT itself.
        model: a `Model` (its LoraConfig is not used).
        base_fingerprint: of the base the adapter is to be used with.

    Returns:
        (adapter tree, its LoraConfig): numpy float32.

    Raises:
        UserError: it was trained on another base, or its shapes do not fit.
    """
    from safetensors.numpy import load_file

    folder, config = Path(folder), read_adapter_config(folder)
    _check_base(folder, base_fingerprint)
    file = folder / "adapter_model.safetensors"
    try:
        tensors = load_file(file)
    except Exception as e:
        raise UserError(f"{file}: cannot be read ({e}); export the adapter again") from None
    shapes = model.with_lora(config).shapes()["lora"]
    lora: dict[str, Any] = {"layers": {}}
    for (block, name), leaf in _projections(shapes).items():
        target = lora["layers"].setdefault(block, {}).setdefault(name, {})
        for key, part in (("a", "lora_A"), ("b", "lora_B")):
            names = [
                f"{PREFIX}.{i}.{block}.{name}.{part}.weight" for i in range(model.config.n_layers)
            ]
            found = [tensors.pop(n).T for n in names if n in tensors]
            if len(found) != len(names) or found[0].shape != leaf[key].shape[1:]:
                raise UserError(
                    f"{file}: {names[0]} does not fit the base model; "
                    "use the base the adapter was trained on"
                )
            target[key] = np.stack(found).astype(np.float32)
    if tensors:
        raise UserError(f"{file}: {min(tensors)} has no place in the base model; use its own base")
    return lora, config


def adapter_fingerprint(folder: str | os.PathLike) -> str:
    """SHA-256 (hex) of an adapter's config and weights: its identity.

    Raises:
        UserError: it is none.
    """
    read_adapter_config(folder)  # a clear sentence if it is none
    digest = hashlib.sha256()
    for file in sorted(Path(folder).glob("adapter_*")):
        digest.update(file.read_bytes())
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
