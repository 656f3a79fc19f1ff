"""Slices of TPU chips by name, and the devices that libtpu makes up to compile for them."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.mesh.chips import CHIPS, Chip

SHAPE = re.compile("[0-9]{1,4}(x[0-9]{1,4})+")  # the chips along each axis
# What libtpu reads when it is loaded.
_ALONE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
KNOWN = {chip.name: chip for chip in CHIPS.values()}


@dataclass(frozen=True)
class Topology:
    """One slice, or several alike that only the data-centre network joins."""

    chip: Chip
    shape: tuple[int, ...]  # chips along each axis of a slice
    slices: int = 1

    @property
    def chips(self) -> int:
        """Chips of all slices together."""
        return prod(self.shape) * self.slices

    def __str__(self) -> str:
        name = f"{self.chip.name}:{'x'.join(map(str, self.shape))}"
        return name if self.slices == 1 else f"{self.slices} slices of {name}"


def parse_topology(text: str, slices: int = 1) -> Topology:
    """A slice by its shape, `v5e:4x4`, or of v5e and v6e by its number of chips, `v5e-16`.

    Raises:
        UserError: another chip, or a shape that it does not come in.
    """
    name, mark, size = text.partition(":") if ":" in text else text.partition("-")
    chip = KNOWN.get(name)
    if chip is None:
        raise UserError(
            f"topology {text}: no chip {name!r}; give one of {', '.join(KNOWN)} with its shape, "
            "such as v5e:4x4"
        )
    # What cannot be read stays (), which has no chip's number of axes and is refused below.
    shape: tuple[int, ...] = ()
    if mark == ":" and SHAPE.fullmatch(size):
        shape = tuple(map(int, size.split("x")))
    elif mark == "-" and chip.axes == 2:  # the number of a v5p counts its cores
        shape = _square(size)
    if len(shape) != chip.axes or min(shape) < 1:
        example = f"{name}:{'x'.join(['4'] * chip.axes)}"
        if chip.axes == 2:
            example += f" or {name}-16"
        raise UserError(f"topology {text}: {size!r} is no shape of {name} chips; give {example}")
    if slices < 1:
        raise UserError(f"slices is {slices}; give 1 or more")
    return Topology(chip, shape, slices)


def _square(chips: str) -> tuple[int, ...]:
    """The squarest grid of as many chips as the text says; () unless that is a power of two."""
    n = int(chips) if re.fullmatch("[0-9]{1,6}", chips) else 0
    if n < 1 or n & (n - 1):
        return ()
    # v5e and v6e slices are as square as a power of two allows: 2x4, 4x4, 4x8, ...
    low = 1 << (n.bit_length() - 1) // 2
    return low, n // low


def compile_devices(topology: Topology) -> Sequence[Any]:
    """Devices that programs can be compiled for, and nothing else.

    Raises:
        UserError: no libtpu, or it knows no such slice.
    """
    from jax.experimental import topologies

    name = f"{topology.chip.name}:{'x'.join(map(str, topology.shape))}"
    bounds = (*(min(2, n) for n in topology.shape[:2]), 1)  # chips of a host
    more = {"num_slices": topology.slices} if topology.slices > 1 else {}
    try:
        with _without_a_tpu():
            found = topologies.get_topology_desc(
                name, platform="tpu", chips_per_host_bounds=bounds, **more
            )
    except Exception as e:  # of several kinds, by what is missing
        reason = first_line(e)
        if "not installed" in reason:
            raise UserError(
                "compile-check needs libtpu, which compiles for TPUs without having one; "
                "install duomem-jax[tpu]"
            ) from None
        raise UserError(f"topology {topology}: {reason}; give a shape that TPUs come in") from None
    return found.devices


@contextlib.contextmanager
def _without_a_tpu() -> Iterator[None]:
    """Keep libtpu from asking which TPU this machine is part of, and from claiming it."""
    # Only what the environment of a machine with TPUs does not say already; and taken away again,
    # or processes that are started later would take themselves for the only host.
    ours = {name: value for name, value in _ALONE.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
