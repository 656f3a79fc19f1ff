"""Weights of a Hugging Face folder, straight to the devices that hold them.

Parameters come one after another, the largest first, and of each tensor only the slices that this
host's devices hold, in pieces: the host needs room for its own share and for little more.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from duomem_jax.models import quantize as quantization
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.families.base import Weight
from duomem_jax.models.hf import decoder_naming, load_config
from duomem_jax.models.model import Model
from duomem_jax.models.naming import Naming
from duomem_jax.models.stored import Source, StoredTensors
from duomem_jax.models.trees import Params, Shapes, Shardings, for_decoding, layer_name

TreePath = tuple[str, ...]  # of a parameter
TABLE, HEAD = ("embedding",), ("head",)


@dataclass(frozen=True)
class Leaf:
    """One parameter that is to be read.

    Attributes:
        path: in the tree.
        source: its tensors.
        shape: shape, dtype and sharding.
        kind: how it is quantised (`quantize.KINDS`); empty: it is not.
    """

    path: TreePath
    source: Source
    shape: jax.ShapeDtypeStruct
    kind: str

    def read(self, stored: StoredTensors) -> Any:
        """The parameter: an array, or a `qwix.QArray`."""
        if self.kind:
            return _quantized(stored, self.source, self.shape, self.kind)
        return stored.read(self.source, self.shape)


def load_pretrained(
    folder: str | os.PathLike,
    dtype: str = "float32",
    shardings: Shardings | None = None,
    quantize: str = "",
    *,
    decoding: bool = False,
) -> tuple[ModelConfig, Params]:
    """Read a Hugging Face folder; of a model that sees, its decoder (`vision.load` has the rest).

    Args:
        folder: config.json and any number of .safetensors files.
        dtype: of the parameters and the activations.
        shardings: a tree like the parameters (`mesh.sharding.model_shardings`), or None for
            the default device.
        quantize: a name in `quantize.KINDS`: the layers' kernels become QArrays as they come in.
        decoding: as `Model.extend` wants them (`trees.for_decoding`), not as training does.

    Returns:
        (config, params): arrays in `dtype`, the layers stacked on the first axis, or apart.

    Raises:
        UserError: a missing or damaged file, an unsupported model.
    """
    config = load_config(folder, dtype)
    shapes = Model(config).shapes()["params"]
    if decoding:
        shapes = jax.eval_shape(for_decoding, shapes)
    sources = _sources(FAMILIES[config.family].weights(config), config.n_layers, decoding)
    if "embedding" not in shapes:  # a tied head that lies as an untied one would
        sources[HEAD] = replace(sources[TABLE], transpose=True)
    naming = decoder_naming(folder)
    return config, read_tree(folder, naming, sources, shapes, dtype, shardings, quantize)


def read_tree(
    folder: str | os.PathLike,
    naming: Naming,
    sources: Mapping[TreePath, Source],
    shapes: Shapes,
    dtype: str,
    shardings: Shardings | None = None,
    quantize: str = "",
) -> Params:
    """The parameters of one part of a folder, all of whose tensors must have a place in it.

    Args:
        folder: with weights.
        naming: which tensors belong to the part, and what `sources` call them.
        sources: where each parameter comes from.
        shapes: of the parameters.
        dtype: of the parameters.
        shardings: a tree like `shapes`, or None for the default device.
        quantize: a name in `quantize.KINDS`, or empty.

    Raises:
        UserError: a missing or damaged file, other tensors than `sources` and `shapes` say.
    """
    plan = _plan(sources, shapes, dtype, shardings, quantize)
    stored = StoredTensors(folder, naming)
    stored.check(
        {
            name: leaf.source.tensor_shape(leaf.shape.shape)
            for leaf in plan
            for name in leaf.source.names
        }
    )
    # The largest first: what reading them takes beside their own room is free again by the time
    # that the others fill it.
    largest_first = sorted(plan, key=lambda leaf: -leaf.shape.size)
    params = {leaf.path: leaf.read(stored) for leaf in largest_first}
    # The plan has the order of the tree's leaves, whatever the order of reading was.
    return jax.tree.unflatten(jax.tree.structure(shapes), [params[x.path] for x in plan])


def _plan(
    sources: Mapping[TreePath, Source],
    shapes: Shapes,
    dtype: str,
    shardings: Shardings | None,
    quantize: str,
) -> list[Leaf]:
    """What is to be read, in the order of the tree's leaves."""
    if shardings is None:
        here = SingleDeviceSharding(jax.devices()[0])
        shardings = jax.tree.map(lambda _: here, shapes)

    def leaf(keys: Any, shape: jax.ShapeDtypeStruct, sharding: Sharding) -> Leaf:
        path = tuple(key.key for key in keys)
        placed = jax.ShapeDtypeStruct(shape.shape, DTYPES[dtype], sharding=sharding)
        return Leaf(path, sources[path], placed, quantize if path[-1] == "kernel" else "")

    return jax.tree.leaves(jax.tree_util.tree_map_with_path(leaf, shapes, shardings))


def stacked_sources(weights: Sequence[Weight], n_layers: int) -> dict[TreePath, Source]:
    """Where each parameter comes from; one tensor a layer in the file is one parameter for all."""
    sources: dict[TreePath, Source] = {}
    for weight in weights:
        stacked = "{l}" in weight.hf
        # A name without "{l}" is the same for every layer, and there is one tensor of it.
        names = tuple(weight.hf.format(l=i) for i in range(n_layers if stacked else 1))
        sources[weight.path] = Source(names, weight.transpose, stacked, weight.ones)
    return sources


def _sources(weights: Sequence[Weight], n_layers: int, decoding: bool) -> dict[TreePath, Source]:
    """As `stacked_sources`, or with the layers apart."""
    stacks = stacked_sources(weights, n_layers)
    if not decoding:
        return stacks
    sources: dict[TreePath, Source] = {}
    for path, stack in stacks.items():
        if not stack.stacked:
            sources[path] = stack
            continue
        for i, source in enumerate(stack.layers()):
            sources[layer_name(i), *path[1:]] = source
    return sources


# One program for all kernels of a shape.
_quantize = jax.jit(quantization.quantize, static_argnames="kind")


def _quantized(
    stored: StoredTensors, source: Source, shape: jax.ShapeDtypeStruct, kind: str
) -> Any:
    """A kernel that is quantised layer by layer, so that it is never whole in full precision."""
    if not source.stacked:
        return _quantize(stored.read(source, shape), kind=kind)
    one = jax.ShapeDtypeStruct(shape.shape[1:], shape.dtype, sharding=_of_one_layer(shape.sharding))
    layers = [_quantize(stored.read(layer, one), kind=kind) for layer in source.layers()]
    # With `out_shardings` the stack is made in its shards and never lies whole on one device.
    whole = jax.eval_shape(_stack, *layers)
    places = jax.tree.map(functools.partial(quantization.place, shape.sharding), whole)
    return jax.jit(_stack, out_shardings=places)(*layers)


def _stack(*layers: Any) -> Any:
    return jax.tree.map(lambda *x: jnp.stack(x), *layers)


def _of_one_layer(sharding: Sharding) -> Sharding:
    """The sharding of a stack of layers without its first axis."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))
