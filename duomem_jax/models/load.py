"""Weights of a Hugging Face folder, straight to the devices that hold them.

Parameters come one after another, the largest first, and of each tensor only the slices that this
host's devices hold, in pieces: the host needs room for its own share and for little more.
"""

import functools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from duomem_jax.base.errors import UserError
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.decoder import for_decoding
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.hf import load_config
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import place as placed
from duomem_jax.models.quantize import quantize as quantized

# Tensors that some checkpoints hold beyond what we read: a tied head is stored twice.
NOT_NEEDED = ("rotary_emb.inv_freq", "lm_head.weight")
PIECE = 1 << 26  # bytes read from a file at a time


class Source(NamedTuple):
    """The tensors a parameter is made of."""

    names: tuple[str, ...]  # of one tensor, or of one for each layer
    transpose: bool
    stacked: bool  # on a leading axis of layers


def load_pretrained(
    folder: str | os.PathLike,
    dtype: str = "float32",
    shardings: Any = None,
    quantize: str = "",
    *,
    decoding: bool = False,
) -> tuple[ModelConfig, dict[str, Any]]:
    """Read a Hugging Face folder.

    Args:
        folder: config.json and any number of .safetensors files.
        dtype: of the parameters and the activations.
        shardings: a tree like the parameters (`mesh.sharding.model_shardings`), or None for
            the default device.
        quantize: a name in `quantize.KINDS`: the layers' kernels become QArrays as they come in.
        decoding: as `Model.extend` wants them (`decoder.for_decoding`), not as training does.

    Returns:
        (config, params): arrays in `dtype`, the layers stacked on the first axis, or apart.

    Raises:
        UserError: a missing or damaged file, an unsupported model.
    """
    folder, config = Path(folder), load_config(folder, dtype)
    shapes = Model(config).shapes()["params"]
    if decoding:
        shapes = jax.eval_shape(for_decoding, shapes)
    if shardings is None:
        here = SingleDeviceSharding(jax.devices()[0])
        shardings = jax.tree.map(lambda _: here, shapes)
    sources, stored = dict(_sources(config, decoding)), _stored(folder)
    if "embedding" not in shapes:  # it lies as the head
        sources["head",] = sources["embedding",]._replace(transpose=True)
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    wanted = [(sources[tuple(key.key for key in path)], leaf.shape) for path, leaf in leaves]
    _check(folder, stored, wanted)
    params: list[Any] = [None] * len(leaves)
    places = jax.tree.leaves(shardings)
    for i in sorted(range(len(leaves)), key=lambda i: -leaves[i][1].size):
        (path, leaf), (source, _) = leaves[i], wanted[i]
        shape = jax.ShapeDtypeStruct(leaf.shape, DTYPES[dtype], sharding=places[i])
        kind = quantize if path[-1].key == "kernel" else ""
        read = functools.partial(_quantized, kind=kind) if kind else _read
        params[i] = read(stored, source, shape)
    return config, jax.tree.unflatten(tree, params)


def _sources(config: ModelConfig, decoding: bool) -> Iterator[tuple[tuple[str, ...], Source]]:
    """Path of each parameter -> where it comes from."""
    for weight in FAMILIES[config.family].weights(config):
        if "{l}" not in weight.hf:
            yield weight.path, Source((weight.hf,), weight.transpose, False)
            continue
        names = tuple(weight.hf.format(l=i) for i in range(config.n_layers))
        if not decoding:
            yield weight.path, Source(names, weight.transpose, True)
            continue
        for i, name in enumerate(names):
            path = f"layers_{i}", *weight.path[1:]
            yield path, Source((name,), weight.transpose, False)


Stored = dict[str, tuple[Path, tuple[int, ...]]]  # name of a tensor -> its file and shape


def _stored(folder: Path) -> Stored:
    """What lies in the folder, from the heads of its files."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder}: no .safetensors file; give a folder with weights")
    found: Stored = {}
    for file in files:
        try:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a dict
                    found[name] = file, tuple(tensors.get_slice(name).get_shape())
        except SafetensorError as e:
            raise UserError(f"{file}: damaged ({e}); download the model again") from None
    return found


def _check(folder: Path, stored: Stored, wanted: list[tuple[Source, tuple[int, ...]]]) -> None:
    """Refuse a folder that is not the model its config describes, before anything is read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for source, whole in wanted:
        shape = whole[1:] if source.stacked else whole
        shapes |= dict.fromkeys(source.names, shape[::-1] if source.transpose else shape)
    missing = shapes.keys() - stored.keys()
    if missing:
        raise UserError(f"{folder}: tensor {min(missing)} is missing; download the model again")
    for name, (file, found) in stored.items():
        if name not in shapes and not name.endswith(NOT_NEEDED):
            raise UserError(
                f"{file}: tensor {name} has no place in the model that config.json "
                "describes; use the files of one model"
            )
        if name in shapes and shapes[name] != found:
            raise UserError(
                f"{file}: tensor {name} has shape {found} where config.json says {shapes[name]}; "
                "download the model again"
            )


def _read(stored: Stored, source: Source, shape: jax.ShapeDtypeStruct) -> jax.Array:
    """A parameter, read slice by slice to where its shards lie."""

    def shard(index: Any) -> np.ndarray:
        spans = [range(*s.indices(n)) for s, n in zip(index, shape.shape, strict=True)]
        out = _aligned([len(span) for span in spans], shape.dtype)
        if not source.stacked:
            _fill(out, stored, source.names[0], spans, source.transpose)
            return out
        for layer, i in enumerate(spans[0]):
            _fill(out[layer], stored, source.names[i], spans[1:], source.transpose)
        return out

    return jax.make_array_from_callback(shape.shape, shape.sharding, shard)


def _aligned(shape: list[int], dtype: Any) -> np.ndarray:
    """Room where JAX wants an array on a CPU, which then uses it as it is and copies nothing."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def _fill(out: np.ndarray, stored: Stored, name: str, spans: list[range], transpose: bool) -> None:
    """Copy a tensor's slice to `out`; the file, which is mapped, is closed after each piece."""
    from safetensors import safe_open

    if transpose:
        out, spans = out.T, spans[::-1]
    file, (_, *width) = stored[name]
    rows, *others = (slice(span.start, span.stop) for span in spans)
    step = max(1, PIECE // (4 * math.prod(width)))
    for at in range(0, len(out), step):
        with safe_open(file, framework="numpy") as tensors:
            end = min(rows.start + at + step, rows.stop)
            out[at : at + step] = tensors.get_slice(name)[(slice(rows.start + at, end), *others)]


_quantize = jax.jit(quantized, static_argnames="kind")


def _quantized(stored: Stored, source: Source, shape: jax.ShapeDtypeStruct, kind: str) -> Any:
    """A kernel that is quantised layer by layer, so that it is never whole in full precision."""
    if not source.stacked:
        return _quantize(_read(stored, source, shape), kind=kind)
    one = jax.ShapeDtypeStruct(shape.shape[1:], shape.dtype, sharding=_of_one_layer(shape.sharding))
    layers = [
        _quantize(_read(stored, Source((name,), source.transpose, False), one), kind=kind)
        for name in source.names
    ]
    whole = jax.eval_shape(_stack, *layers)
    places = jax.tree.map(functools.partial(placed, shape.sharding), whole)
    return jax.jit(_stack, out_shardings=places)(*layers)


def _stack(*layers: Any) -> Any:
    return jax.tree.map(lambda *x: jnp.stack(x), *layers)


def _of_one_layer(sharding: Sharding) -> Sharding:
    """The sharding of a stack of layers without its first axis."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))
