"""The mesh, and the one table that says which logical axis lies on which mesh axis."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental.mesh_utils import create_device_mesh, create_hybrid_device_mesh
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.base.errors import UserError
from duomem_jax.mesh.chips import CHIPS
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.axes import axis_rules, mesh_shardings
from duomem_jax.models.model import Model
from duomem_jax.models.trees import Shardings

AXES = ("data", "fsdp", "tensor")
# Logical axes of parameters and activations (`models`), and the mesh axes that they are split over.
# Rows are split over `fsdp` too: it shards weights, and each of its chips has rows of its own.
RULES = (
    ("batch", ("data", "fsdp")),
    ("embed", "fsdp"),
    ("heads", "tensor"),
    ("mlp", "tensor"),
    ("vocab", "tensor"),
    ("table", None),  # rows of the embedding: a gather from a split table is slow
    ("norm", None),
    ("rank", None),  # a few columns: splitting them would save nothing and cost a sum a product
    ("layers", None),
)
BATCH = P(("data", "fsdp"))
Tree = TypeVar("Tree")
SHARE = 0.5  # of a device's memory that what it holds may fill; the rest is for temporaries


def make_mesh(
    config: MeshConfig, global_batch: int, held: int = 0, devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh with axes `AXES`; `data=-1` takes the devices the other axes leave.

    `fsdp=-1` takes the smallest power of two with which a device's share of `held` fills at most
    `SHARE` of its memory (1 on a device that `CHIPS` does not know): the fewer, the less is sent
    between devices, as a frozen base that lies whole on each of them is never gathered.

    Args:
        config: sizes of the axes.
        global_batch: rows a step.
        held: bytes of weights, trained tree and optimizer, over all devices.
        devices: of the mesh; None: all there are. Slices that only the data-centre network joins
            are laid along `data`, whose one sum a step is small.

    Raises:
        UserError: more devices wanted than there are, or a batch that cannot be shared out.
    """
    devices = jax.devices() if devices is None else devices
    # CPU devices have no `slice_index`.
    have, slices = len(devices), len({getattr(d, "slice_index", 0) for d in devices})
    chip = CHIPS.get(devices[0].device_kind)
    shape = _sizes(config, have // slices, slices, held / (SHARE * chip.hbm) if chip else 0)
    data, wanted = shape[0], math.prod(shape)
    # The product of two negative sizes is positive, hence the second test.
    if not 0 < wanted <= have or min(shape) < 1:
        raise UserError(
            f"config: mesh {dict(zip(AXES, shape, strict=True))} does not fit {have} devices; "
            "change mesh.data, mesh.fsdp or mesh.tensor"
        )
    if global_batch % (data * shape[1]):
        raise UserError(
            f"config: global_batch {global_batch} is not a multiple of mesh.data * mesh.fsdp = "
            f"{data * shape[1]}; change one of them"
        )
    if slices > 1 and (wanted < have or data % slices):
        raise UserError(
            f"config: mesh.data {data} does not share {have} devices out to {slices} slices; "
            "set mesh.data to -1 and mesh.fsdp * mesh.tensor to at most a slice"
        )
    # Auto is spelled out: jax.make_mesh would take Explicit, under which Linen modules do not run.
    return Mesh(_grid(shape, slices, devices[:wanted]), AXES, axis_types=(AxisType.Auto,) * 3)


def _sizes(config: MeshConfig, per_slice: int, slices: int, fullness: float) -> tuple[int, ...]:
    """Sizes of the axes; `fullness` is `held` in shares of one device's memory."""
    tensor, fsdp = config.tensor, config.fsdp
    if fsdp == -1 and tensor > 0:
        # Within a slice: what fsdp gathers must not cross the data-centre network.
        free, fsdp = per_slice // (tensor * max(1, config.data // slices)), 1
        while fullness > fsdp * tensor and free and free % (2 * fsdp) == 0:
            fsdp *= 2
    data = config.data
    if data == -1 and fsdp * tensor > 0:
        data = per_slice // (fsdp * tensor) * slices
    return data, fsdp, tensor


def _grid(shape: tuple[int, ...], slices: int, devices: Sequence[Any]) -> np.ndarray:
    """Devices in the mesh's shape, neighbours in it near each other on the chips' own network."""
    # Splitting is allowed, since an axis of the mesh need not be a whole axis of the chips' grid.
    if slices == 1:
        return create_device_mesh(shape, devices, allow_split_physical_axes=True)
    data, *rest = shape
    within, between = (data // slices, *rest), (slices, 1, 1)
    return create_hybrid_device_mesh(within, between, devices, allow_split_physical_axes=True)


@contextlib.contextmanager
def use_mesh(mesh: Mesh) -> Iterator[None]:
    """Make `mesh` and `RULES` current; `with mesh:` alone would drop every constraint, silently."""
    with jax.set_mesh(mesh), axis_rules(RULES):
        yield


def model_shardings(model: Model, mesh: Mesh) -> Shardings:
    """{"params": ..., "lora": ...} trees of NamedSharding; "lora" only if configured.

    Raises:
        UserError: an axis of the model is not a multiple of its mesh axis.
    """
    logical, shapes = model.logical_axes(), model.shapes()
    shardings = mesh_shardings(logical, mesh, RULES)

    # By shapes alone, before weights are read; JAX's own error names neither parameter nor field.
    def check(path: Any, sharding: NamedSharding, shape: jax.ShapeDtypeStruct) -> None:
        try:
            sharding.shard_shape(shape.shape)
        except ValueError:
            raise UserError(
                f"config: {jax.tree_util.keystr(path)} of shape {shape.shape} cannot be split "
                f"over mesh {dict(mesh.shape)}; change mesh.fsdp or mesh.tensor"
            ) from None

    jax.tree_util.tree_map_with_path(check, shardings, shapes)
    return shardings


@dataclass(frozen=True)
class Places:
    """Which of the equal parts of every global batch lie on this host's devices.

    Attributes:
        held: numbers of the parts, ascending.
        count: how many parts there are over all hosts.
    """

    held: tuple[int, ...]
    count: int


def places(mesh: Mesh) -> Places:
    """The parts of every global batch that this host has to provide."""
    count = mesh.shape["data"] * mesh.shape["fsdp"]
    # JAX says where an array of one element a part would lie. `tensor` repeats parts, and an axis
    # that is not split has slice(None), hence the set and `indices`.
    parts = NamedSharding(mesh, BATCH).addressable_devices_indices_map((count,)).values()
    return Places(tuple(sorted({part[0].indices(count)[0] for part in parts if part})), count)


def put_batch(batch: Tree, mesh: Mesh) -> Tree:
    """A global batch [B, ...] over all hosts, of which this one gives its rows: a tree of arrays.

    Args:
        batch: the rows of this host's `places`, in their order.
        mesh: B is a multiple of its data * fsdp (`make_mesh` sees to that).
    """
    sharding = NamedSharding(mesh, BATCH)
    here = places(mesh)

    def put(rows: np.ndarray) -> jax.Array:
        size = len(rows) // len(here.held)
        shape = (here.count * size, *rows.shape[1:])

        # Called for each device here, with the global rows that it holds.
        def part(index: Any) -> np.ndarray:
            at = here.held.index(index[0].indices(shape[0])[0] // size) * size
            return rows[at : at + size]

        return jax.make_array_from_callback(shape, sharding, part)

    return jax.tree.map(put, batch)
