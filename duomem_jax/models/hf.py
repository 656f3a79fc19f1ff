"""Hugging Face folders: the configs, writing, and what tells one base model from another."""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import ml_dtypes
import numpy as np

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.io import as_path, atomic_write_bytes, atomic_write_text, read_json
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES, SEEING
from duomem_jax.models.families.base import HfConfig, Weight, supported
from duomem_jax.models.naming import PLAIN, Naming
from duomem_jax.models.trees import Params
from duomem_jax.models.weight_files import AGAIN, weight_files
from duomem_jax.records.there import instead

# What a value of the wrong kind, 0 or too many levels of nesting end in, here or in transformers.
WRONG_VALUE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# What `copy_tokenizer` copies.
COPIED = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "chat_template.jinja"),
    *("chat_template.json", "additional_chat_templates/*.jinja", "generation_config.json"),
    *("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*"),
)
GENERATION = "generation_config.json"
LARGEST_ID = 1 << 31  # ids are int32
T = TypeVar("T")
_NUMPY = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}


def load_config(folder: str | os.PathLike, dtype: str = "float32") -> ModelConfig:
    """The `ModelConfig` of a Hugging Face folder, for activations in `dtype`.

    Of a model that sees it is the decoder's.

    Raises:
        UserError: no config.json, an unknown family, a missing or unsupported field.
    """
    # What the file names is how weights are stored; here the caller says how to compute.
    return replace(read_config(folder, _decoder), dtype=dtype)


def _decoder(hf: HfConfig) -> ModelConfig:
    if hf["model_type"] not in SEEING:
        return FAMILIES[hf["model_type"]].from_hf(hf)
    text = hf["text_config"]
    kind = supported(text, "model_type", *FAMILIES)
    # Whether the head is tied is said of the whole model: the decoder alone has no head.
    return FAMILIES[kind].from_hf(text | {"tie_word_embeddings": hf["tie_word_embeddings"]})


def decoder_naming(folder: str | os.PathLike) -> Naming:
    """What the decoder's tensors are called in a folder whose config `load_config` reads."""
    seeing = SEEING.get(read_config(folder, lambda hf: hf["model_type"]))
    return seeing.decoder_naming if seeing else PLAIN


def read_config(folder: str | os.PathLike, read: Callable[[HfConfig], T]) -> T:
    """What `read` makes of a folder's config.json, completed as transformers does.

    Raises:
        UserError: no config.json, an unknown family, a missing or unsupported field.
    """
    path = Path(folder) / "config.json"
    hf = read_json(path, missing=instead(folder, "a Hugging Face model"), damaged=AGAIN)
    kind = hf.get("model_type")
    if kind is None:
        raise UserError(
            f"{path}: has no field model_type; {instead(folder, 'a Hugging Face model')}"
        )
    known = (*FAMILIES, *SEEING)
    if kind not in known:
        raise UserError(f"{path}: field model_type is {kind!r}; supported: {', '.join(known)}")
    # Kernels in 8 or 4 bits have other names and scales of their own.
    if hf.get("quantization_config"):
        raise UserError(
            f"{path}: field quantization_config says that the weights are quantised; give the "
            "model as it was before, and quantise it here (--player.quantize, --quantize)"
        )
    try:
        return read(_complete(hf))
    except UserError as e:
        # The families' messages begin with `config.json`.
        raise UserError(f"{path.parent}/{e}") from None
    # A wrong value that transformers lets through, and for which no reader has a sentence.
    except WRONG_VALUE as e:
        reason = f"{type(e).__name__}: {first_line(e)}"
        raise UserError(f"{path}: a field has a wrong value ({reason}); {AGAIN}") from None


def _complete(hf: HfConfig) -> HfConfig:
    """The config with transformers' defaults, checks, and today's spelling of old fields."""
    # Imported here: transformers takes seconds to load.
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    try:
        return CONFIG_MAPPING[hf["model_type"]](**hf).to_dict()
    except (StrictDataclassError, *WRONG_VALUE) as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        raise UserError(f"config.json: {reason}; {AGAIN}") from None


def end_tokens(folder: str | os.PathLike) -> tuple[int, ...]:
    """The tokens that end what the model of a folder writes, as transformers' `generate` has them.

    They are in generation_config.json, or in config.json where there is none.

    Raises:
        UserError: the file is damaged, or its field `eos_token_id` names no tokens.
    """
    path = Path(folder) / GENERATION
    if not path.exists():
        path = Path(folder) / "config.json"
    found = read_json(path, missing="give the folder of a Hugging Face model", damaged=AGAIN)
    named = found.get("eos_token_id")
    ids = named if isinstance(named, list) else [] if named is None else [named]
    if not all(type(i) is int and 0 <= i < LARGEST_ID for i in ids):
        raise UserError(
            f"{path}: field eos_token_id is {named!r}, neither a token id nor a list of them; "
            f"{AGAIN}"
        )
    return tuple(ids)


def _at(tree: Params, path: tuple[str, ...]) -> Any:
    return functools.reduce(lambda node, key: node[key], path, tree)


def save_pretrained(
    folder: str | os.PathLike,
    config: ModelConfig,
    params: Params,
    dtype: str = "float32",
    base: str | os.PathLike = "",
) -> None:
    """Write config.json and model.safetensors, readable by transformers and `load.load_pretrained`.

    Args:
        folder: where to.
        config: shape of the model.
        params: its parameters.
        dtype: of the tensors in the file.
        base: folder of the model that this one was made from: its config.json is kept but for the
            dtype, with all fields that some loader may read. Of a model that sees, which has more
            than a decoder, nothing is kept. Empty: there is none.

    Raises:
        UserError: the disk is full, the folder is not writable, or `base` has no config.json.
    """
    from safetensors.numpy import save

    family = FAMILIES[config.family]
    tensors = tensors_of(family.weights(config), params, config.n_layers, dtype)
    folder = as_path(folder)
    # The format that transformers writes too; its older releases refuse files without one.
    atomic_write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    hf = (base and _base_config(Path(base), dtype)) or {**family.to_hf(config), "dtype": dtype}
    atomic_write_text(folder / "config.json", json.dumps(hf, indent=2) + "\n")


def _base_config(base: Path, dtype: str) -> HfConfig:
    """The base's config for other weights of its shape; empty where these are a part of it."""
    hf = read_json(
        base / "config.json", missing="give the folder of a Hugging Face model", damaged=AGAIN
    )
    if hf.get("model_type") in SEEING:
        return {}
    hf.pop("transformers_weights", None)  # names a file, and ours has the usual name
    # Under the base's own name of it: older releases know no other.
    names = [name for name in ("dtype", "torch_dtype") if name in hf] or ["dtype"]
    return hf | dict.fromkeys(names, dtype)


def tensors_of(
    weights: Sequence[Weight], params: Params, n_layers: int, dtype: str, naming: Naming = PLAIN
) -> dict[str, np.ndarray]:
    """Parameters as files have them.

    Args:
        weights: which tensors there are.
        params: the tree.
        n_layers: of the part of a model that it is.
        dtype: of the tensors.
        naming: of that part.
    """
    tensors = {}
    for weight in weights:
        x = np.asarray(_at(params, weight.path)).astype(_NUMPY[dtype])
        layers = [(weight.hf.format(l=i), x[i]) for i in range(n_layers)]
        for name, value in layers if "{l}" in weight.hf else [(weight.hf, x)]:
            value = value.T if weight.transpose else value.reshape((1,) * weight.ones + value.shape)
            tensors[naming.written(name)] = np.ascontiguousarray(value)
    return tensors


def fingerprint(folder: str | os.PathLike) -> str:
    """SHA-256 (hex) of the folder's config.json and weights: the identity of a base model.

    Raises:
        UserError: there is no config.json, or what it goes with is no model's folder.
    """
    config = Path(folder) / "config.json"
    if not config.exists():
        raise UserError(f"{config}: no such file; {instead(folder, 'a Hugging Face model')}")
    digest = hashlib.sha256()
    # The weights that are read: another file beside them makes no other model.
    for file in (config, *weight_files(folder)):
        digest.update(file_digest(file))
    return digest.hexdigest()


def file_digest(file: Path) -> bytes:
    """SHA-256 of a file, read once as long as its size and time stay: weights are gigabytes.

    Raises:
        UserError: it cannot be read.
    """
    try:
        facts = file.stat()
        # Resolved, as in the hub's cache the names in a folder are links.
        return _digest(file.resolve(), facts.st_size, facts.st_mtime_ns)
    except OSError as e:
        raise UserError(f"{file}: cannot be read ({e.strerror}); {AGAIN}") from None


@functools.cache
def _digest(file: Path, size: int, changed_ns: int) -> bytes:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").digest()


def copy_tokenizer(source: str | os.PathLike, target: Path) -> None:
    """Copy what a Hugging Face folder holds beside weights and config.json that loaders read.

    These are the files of its tokenizer, of its chat templates and of how it generates, and its
    licence. Nothing else is copied, such as cards, logs or code.

    Raises:
        UserError: one of them is a link out of the folder, other than into the hub's cache.
    """
    folder = Path(source)
    for file in sorted({file for pattern in COPIED for file in folder.glob(pattern)}):
        if not file.is_file():
            continue
        if not _is_own(file, folder):
            raise UserError(
                f"{file}: is a link out of its folder; put the file itself in its place"
            )
        atomic_write_bytes(target / file.relative_to(folder), file.read_bytes())


def _is_own(file: Path, folder: Path) -> bool:
    """Whether a file lies in the folder, or where the hub's cache keeps files of one model."""
    real = file.resolve()
    blobs = real.parent.name == "blobs" and real.parent.parent.name.startswith("models--")
    return real.is_relative_to(folder.resolve()) or blobs
