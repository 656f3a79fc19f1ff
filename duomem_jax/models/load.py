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
from duomem_jax.models.decoder import unstack
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.families.base import Weight
from duomem_jax.models.hf import load_config
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import place as placed
from duomem_jax.models.quantize import quantize as quantized

# Tensors that some checkpoints hold beyond what we read: a tied head is stored twice.
NOT_NEEDED = ("rotary_emb.inv_freq", "lm_head.weight")


def load_pretrained(
    folder: str | os.PathLike,
    dtype: str = "float32",
    shardings: Any = None,
    quantize: str = "",
    *,
    apart: bool = False,
) -> tuple[ModelConfig, dict[str, Any]]:
    """Read a Hugging Face folder.

    Args:
        folder: config.json and any number of .safetensors files.
        dtype: of the parameters and the activations.
        shardings: a tree like the parameters (`train.sharding.model_shardings`), or None for
            the default device.
        quantize: a name in `quantize.KINDS`: the layers' kernels become QArrays as they come in.
        apart: as `Model.extend` wants them (`decoder.unstack`), not as training does.

    Returns:
        (config, params): arrays in `dtype`, the layers stacked on the first axis, or apart.

    Raises:
        UserError: a missing or damaged file, an unsupported model.
    """
    folder, config = Path(folder), load_config(folder, dtype)
    params = _empty(config, shardings, quantize, apart)
    places = dict(_places(config, apart))
    for file in _files(folder):
        _read_file(file, places, params, quantize)
    if places:
        raise UserError(f"{folder}: tensor {min(places)} is missing; download the model again")
    return config, params


def _empty(config: ModelConfig, shardings: Any, kind: str, apart: bool) -> dict[str, Any]:
    """Zeros in the form and place of the parameters."""
    shapes = Model(config).shapes()["params"]
    if apart:
        shapes = jax.eval_shape(unstack, shapes)
    if shardings is None:
        here = SingleDeviceSharding(jax.devices()[0])
        shardings = jax.tree.map(lambda _: here, shapes)

    def zeros(path: tuple, x: jax.ShapeDtypeStruct, sharding: Sharding) -> Any:
        x = jax.ShapeDtypeStruct(x.shape, DTYPES[config.dtype])
        x = jax.eval_shape(functools.partial(_kept, name=path[-1].key, kind=kind), x)
        return jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype, device=placed(sharding, leaf)), x
        )

    return jax.tree_util.tree_map_with_path(zeros, shapes, shardings)


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder}: no .safetensors file; give a folder with weights")
    return files


_quantized = jax.jit(quantized, static_argnames="kind")


def _kept(x: jax.Array, name: str, kind: str) -> Any:
    """A parameter as it is kept: kernels may be quantised."""
    return _quantized(x, kind=kind) if kind and name == "kernel" else x


Place = tuple[Weight, tuple[str, ...], int | None]  # of a tensor: path in the tree, which layer


def _places(config: ModelConfig, apart: bool) -> Iterator[tuple[str, Place]]:
    """Name of each tensor -> where it goes."""
    for weight in FAMILIES[config.family].weights(config):
        if "{l}" not in weight.hf:
            yield weight.hf, (weight, weight.path, None)
            continue
        for i in range(config.n_layers):
            path = (f"layers_{i}", *weight.path[1:]) if apart else weight.path
            yield weight.hf.format(l=i), (weight, path, None if apart else i)


def _read_file(file: Path, places: dict[str, Place], params: dict, kind: str) -> None:
    """Move the tensors of one file from `places` to `params`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a dict
                if name in places:
                    where = f"{file}: tensor {name}"
                    _place(where, tensors.get_slice(name), places.pop(name), params, kind)
                elif not name.endswith(NOT_NEEDED):
                    raise UserError(
                        f"{file}: tensor {name} has no place in the model that config.json "
                        "describes; use the files of one model"
                    )
    except SafetensorError as e:
        raise UserError(f"{file}: damaged ({e}); download the model again") from None


def _place(where: str, stored: Any, place: Place, params: dict, kind: str) -> None:
    """Read what this host holds of one tensor and put it into its array."""
    weight, (*parents, last), layer = place
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
    sharding = sharding if layer is None else _of_one_layer(sharding)
    one = _kept(jax.make_array_from_callback(shape, sharding, read), name=last, kind=kind)
    tree[last] = one if layer is None else _set_layer(whole, one, layer)


def _of_one_layer(sharding: Sharding) -> Sharding:
    """The sharding of a stack of layers without its first axis."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))


@functools.partial(jax.jit, donate_argnums=0)
def _set_layer(stack: Any, one: Any, layer: int) -> Any:
    return jax.tree.map(lambda all_layers, x: all_layers.at[layer].set(x), stack, one)
