"""Weights of a Hugging Face folder, straight to the devices that hold them.

Files are opened one after another, and of each tensor only the slices are read that this host's
devices hold, so that the host needs room for one file and for its own share of the model.
"""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from duomem_jax.errors import UserError
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.families.base import Weight
from duomem_jax.models.hf import load_config
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import place
from duomem_jax.models.quantize import quantize as quantized

# Tensors that some checkpoints hold beyond what we read: a tied head is stored twice.
NOT_NEEDED = ("rotary_emb.inv_freq", "lm_head.weight")


def load_pretrained(
    folder: str | os.PathLike,
    dtype: str = "float32",
    shardings: Any = None,
    quantize: str = "",
) -> tuple[ModelConfig, dict[str, Any]]:
    """Read a Hugging Face folder.

    Args:
        folder: config.json and any number of .safetensors files.
        dtype: of the parameters and the activations.
        shardings: a tree like the parameters (`train.sharding.model_shardings`), or None for
            the default device.
        quantize: a name in `quantize.KINDS`: the layers' kernels become QArrays as they come in.

    Returns:
        (config, params): arrays in `dtype`, the layers stacked on the first axis.

    Raises:
        UserError: a missing or damaged file, an unsupported model.
    """
    folder, config = Path(folder), load_config(folder, dtype)
    params = _empty(config, shardings, quantize)
    places = dict(_places(config))
    for file in _files(folder):
        _read_file(file, places, params, quantize)
    if places:
        raise UserError(f"{folder}: tensor {min(places)} is missing; download the model again")
    return config, params


def _empty(config: ModelConfig, shardings: Any, kind: str) -> dict[str, Any]:
    """Zeros in the form and place of the parameters."""
    shapes = Model(config).shapes()["params"]
    if shardings is None:
        here = SingleDeviceSharding(jax.devices()[0])
        shardings = jax.tree.map(lambda _: here, shapes)

    def zeros(path: tuple, x: jax.ShapeDtypeStruct, sharding: Sharding) -> Any:
        x = jax.ShapeDtypeStruct(x.shape, DTYPES[config.dtype])
        if kind and path[-1].key == "kernel":
            x = jax.eval_shape(functools.partial(quantized, kind=kind), x)
        return jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype, device=place(sharding, leaf)), x
        )

    return jax.tree_util.tree_map_with_path(zeros, shapes, shardings)


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder}: no .safetensors file; give a folder with weights")
    return files


def _places(config: ModelConfig) -> Iterator[tuple[str, tuple[Weight, int | None]]]:
    """Name of each tensor -> where it goes, and which layer of that it is."""
    for weight in FAMILIES[config.family].weights(config):
        if "{l}" in weight.hf:
            for i in range(config.n_layers):
                yield weight.hf.format(l=i), (weight, i)
        else:
            yield weight.hf, (weight, None)


def _read_file(
    file: Path, places: dict[str, tuple[Weight, int | None]], params: dict, kind: str
) -> None:
    """Move the tensors of one file from `places` to `params`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a dict
                if name in places:
                    where = f"{file}: tensor {name}"
                    _place(where, tensors.get_slice(name), *places.pop(name), params, kind)
                elif not name.endswith(NOT_NEEDED):
                    raise UserError(
                        f"{file}: tensor {name} has no place in the model that config.json "
                        "describes; use the files of one model"
                    )
    except SafetensorError as e:
        raise UserError(f"{file}: damaged ({e}); download the model again") from None


def _place(
    where: str, stored: Any, weight: Weight, layer: int | None, params: dict, kind: str
) -> None:
    """Read what this host holds of one tensor and put it into its array."""
    *parents, last = weight.path
    tree = functools.reduce(lambda node, key: node[key], parents, params)
    whole = tree[last]
    shape = whole.shape if layer is None else whole.shape[1:]
    wanted, found = shape[::-1] if weight.transpose else shape, tuple(stored.get_shape())
    if found != wanted:
        raise UserError(
            f"{where} has shape {found} where config.json says {wanted}; download the model again"
        )

    def read(index: Any) -> np.ndarray:
        piece = stored[index[::-1]].T if weight.transpose else stored[index]
        return np.ascontiguousarray(piece.astype(whole.dtype))

    sharding = whole.sharding if isinstance(whole, jax.Array) else whole.qvalue.sharding
    if layer is None:
        tree[last] = jax.make_array_from_callback(shape, sharding, read)
    else:
        one = jax.make_array_from_callback(shape, _of_one_layer(sharding), read)
        tree[last] = _set_layer(whole, one, layer, kind=kind if last == "kernel" else "")


def _of_one_layer(sharding: Sharding) -> Sharding:
    """The sharding of a stack of layers without its first axis."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))


@functools.partial(jax.jit, donate_argnums=0, static_argnames="kind")
def _set_layer(stack: Any, one: jax.Array, layer: int, *, kind: str) -> Any:
    one = quantized(one, kind) if kind else one
    return jax.tree.map(lambda all_layers, x: all_layers.at[layer].set(x), stack, one)
