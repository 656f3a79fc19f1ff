"""Base models from and to Hugging Face folders (config.json and safetensors)."""

import functools
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from duomem_jax.errors import UserError
from duomem_jax.io import atomic_write_bytes, atomic_write_text
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.model import Model

_NUMPY = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the folder of a Hugging Face model") from None
    except ValueError as e:
        raise UserError(f"{path}: not valid JSON ({e}); download the model again") from None


def load_config(folder: str | os.PathLike, dtype: str = "float32") -> ModelConfig:
    """The `ModelConfig` of a Hugging Face folder, for activations in `dtype`.

    Raises:
        UserError: no config.json, an unknown family, a missing or unsupported field.
    """
    path = Path(folder) / "config.json"
    hf = _read_json(path)
    family = FAMILIES.get(hf.get("model_type", ""))
    if family is None:
        raise UserError(
            f"{path}: model_type {hf.get('model_type')!r} is not supported; "
            f"use one of {', '.join(FAMILIES)}"
        )
    try:
        config = family.from_hf(hf)
    except KeyError as e:
        raise UserError(f"{path}: field {e} is missing; download the model again") from None
    except UserError as e:
        raise UserError(f"{path.parent}/{e}") from None
    return replace(config, dtype=dtype)


class _Tensors:
    """Tensors of one folder by name, whatever number of files they lie in."""

    def __init__(self, folder: Path):
        from safetensors import SafetensorError, safe_open

        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise UserError(f"{folder}: no .safetensors file; give a folder with weights")
        self._where: dict[str, Any] = {}
        for file in files:
            try:
                handle = safe_open(file, framework="numpy")
            except SafetensorError as e:
                raise UserError(f"{file}: damaged ({e}); download the model again") from None
            self._where.update(dict.fromkeys(handle.keys(), handle))
        self.folder = folder

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._where:
            raise UserError(f"{self.folder}: tensor {name} is missing; download the model again")
        return self._where[name].get_tensor(name)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    return functools.reduce(lambda node, key: node[key], path, tree)


def _put(tree: dict, path: tuple[str, ...], value: np.ndarray) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def load_pretrained(
    folder: str | os.PathLike, dtype: str = "float32"
) -> tuple[ModelConfig, dict[str, Any]]:
    """Read a Hugging Face folder.

    Returns:
        (config, params): numpy arrays in `dtype`, the layers stacked on the first axis.

    Raises:
        UserError: a missing or damaged file, an unsupported model.
    """
    config = load_config(folder, dtype)
    tensors = _Tensors(Path(folder))
    params: dict[str, Any] = {}
    shapes = Model(config).shapes()["params"]
    for weight in FAMILIES[config.family].weights(config):
        layered = "{l}" in weight.hf
        names = [weight.hf.format(l=i) for i in range(config.n_layers)] if layered else [weight.hf]
        wanted = _at(shapes, weight.path).shape[layered:]
        out = np.empty((len(names), *wanted), _NUMPY[dtype])
        for i, name in enumerate(names):  # one layer at a time: no second copy of the model
            x = tensors[name]
            x = x.T if weight.transpose else x
            if x.shape != wanted:
                raise UserError(
                    f"{folder}: tensor {name} has shape {x.shape} where config.json says "
                    f"{wanted}; download the model again"
                )
            out[i] = x
        _put(params, weight.path, out if layered else out[0])
    return config, params


def save_pretrained(
    folder: str | os.PathLike, config: ModelConfig, params: dict[str, Any], dtype: str = "float32"
) -> None:
    """Write config.json and model.safetensors, readable by transformers and `load_pretrained`.

    Raises:
        UserError: the disk is full or the folder is not writable.
    """
    from safetensors.numpy import save

    family, tensors = FAMILIES[config.family], {}
    for weight in family.weights(config):
        x = np.asarray(_at(params, weight.path)).astype(_NUMPY[dtype])
        layers = [(weight.hf.format(l=i), x[i]) for i in range(config.n_layers)]
        for name, value in layers if "{l}" in weight.hf else [(weight.hf, x)]:
            tensors[name] = np.ascontiguousarray(value.T if weight.transpose else value)
    atomic_write_bytes(Path(folder) / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    hf = {**family.to_hf(config), "dtype": dtype}
    atomic_write_text(Path(folder) / "config.json", json.dumps(hf, indent=2) + "\n")


def fingerprint(folder: str | os.PathLike) -> str:
    """SHA-256 (hex) of the folder's config.json and weights: the identity of a base model."""
    files = [Path(folder) / "config.json", *sorted(Path(folder).glob("*.safetensors"))]
    digest = hashlib.sha256()
    for file in files:
        try:
            with open(file, "rb") as f:
                digest.update(hashlib.file_digest(f, "sha256").digest())
        except FileNotFoundError:
            raise UserError(f"{file}: no such file; give a Hugging Face folder") from None
    return digest.hexdigest()
