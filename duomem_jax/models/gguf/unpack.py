"""Unpacking a GGUF file, once, into a Hugging Face folder in the cache."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
from filelock import FileLock

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, clear_os_errors
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.gguf.file import GgufFile
from duomem_jax.models.gguf.layouts import ROPE_FACTORS, config_of, layout_of
from duomem_jax.models.gguf.tokenizer import write_tokenizer
from duomem_jax.models.hf import GENERATION, file_digest, load_config
from duomem_jax.models.weight_files import INDEX

SUFFIX = ".gguf"
SHARD = 1 << 30  # bytes of weights in a file; so much is in memory at once
_FORM = 1  # of what is written: raised where a later version unpacks in another way
# Most weights were trained in it, and it rounds far less than quantization to 8 bits did.
_DTYPE = np.dtype(ml_dtypes.bfloat16)

log = logging.getLogger(__name__)


def unpacked(path: Path) -> Path:
    """The Hugging Face folder of a GGUF file; it is written into the hub's cache once.

    Raises:
        UserError: the file is damaged, or holds a model that is not supported; the cache cannot be
            written.
    """
    from huggingface_hub import cached_assets_path, constants

    part = f"{file_digest(path).hex()[:32]}-{_FORM}"
    cache = constants.HF_ASSETS_CACHE
    # By its content: a file that was copied or renamed is unpacked already.
    folders = cached_assets_path("duomem_jax", "gguf", part, assets_dir=cache)
    folder = folders / path.stem
    if folder.exists():
        return folder
    file = GgufFile(path)
    # Adapters that train side by side all begin here: one unpacks the file, the others wait for it.
    with clear_os_errors(folder), FileLock(f"{folder}.lock"):
        if not folder.exists():
            log.info("%s: unpacked into %s", path, folder)
            with atomic_dir(folder) as out:
                write_folder(file, out)
    return folder


def write_folder(file: GgufFile, folder: Path) -> None:
    """Write config, tokenizer and weights in bfloat16.

    Raises:
        UserError: the file is damaged, or holds a model that is not supported.
    """
    hf = config_of(file) | {"dtype": _DTYPE.name}
    (folder / "config.json").write_text(json.dumps(hf, indent=2) + "\n")
    (folder / GENERATION).write_text(json.dumps({"eos_token_id": _ends(file)}, indent=2) + "\n")
    write_tokenizer(file, folder)
    _write_weights(_tensors(file, load_config(folder)), folder)


def _ends(file: GgufFile) -> list[int]:
    """The tokens that end a reply: of a text, of a turn, of a message."""
    found = {file.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")}
    return sorted(found - {None})


def _tensors(file: GgufFile, config: ModelConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Name and value of each tensor, as transformers knows them."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    layout = layout_of(file)
    (arch,) = (arch for arch, name in MODEL_ARCH_NAMES.items() if name == file.architecture)
    names = get_tensor_name_map(arch, config.n_layers)
    left = set(file.names()) - {ROPE_FACTORS}
    for weight in FAMILIES[config.family].weights(config):
        layers = range(config.n_layers) if "{l}" in weight.hf else (0,)
        for theirs in (weight.hf.format(l=layer) for layer in layers):
            name, _, kind = theirs.rpartition(".")
            ours = f"{names.get_name(name)}.{kind}"
            x = file.tensor(ours)
            left.discard(ours)
            if layout.offset_norms and name.endswith("norm"):
                x = x - 1
            if layout.interleaved and name.endswith(("q_proj", "k_proj")):
                x = _halves(x, config.n_heads if name.endswith("q_proj") else config.n_kv_heads)
            yield theirs, x.astype(_DTYPE)
    if left:
        raise UserError(
            f"{file.path}: tensor {min(left)} belongs to no {file.architecture} model that is "
            "supported; take the model's Hugging Face folder instead"
        )


def _halves(x_OD: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k for a rotation of halves, from those for one of neighbours."""
    rows, *rest = x_OD.shape
    pairs = x_OD.reshape(heads, rows // heads // 2, 2, *rest)
    return pairs.swapaxes(1, 2).reshape(x_OD.shape)


def _write_weights(tensors: Iterator[tuple[str, np.ndarray]], folder: Path) -> None:
    """Write files of at most `SHARD` bytes, or of one tensor, and what is in which."""
    from safetensors.numpy import save_file

    shard: dict[str, np.ndarray] = {}
    where: dict[str, str] = {}
    size = 0

    def write() -> None:
        name = f"model-{len(set(where.values())) + 1:05d}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        where.update(dict.fromkeys(shard, name))
        shard.clear()

    for name, x in tensors:
        if shard and size + x.nbytes > SHARD:
            write()
            size = 0
        shard[name] = np.ascontiguousarray(x)
        size += x.nbytes
    write()
    index = {"metadata": {}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
