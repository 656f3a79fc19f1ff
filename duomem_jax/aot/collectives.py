"""Bytes between chips: what each collective of a compiled program moves."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from duomem_jax.aot.hlo import ASYNC, Computation, Instruction

# What a chip receives for each byte it gives, in a group of n: the bandwidth-optimal algorithms.
RECEIVED: dict[str, Callable[[int], float]] = {
    "all-gather": lambda n: n - 1,
    "reduce-scatter": lambda n: (n - 1) / n,
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1,
}


@dataclass(frozen=True)
class Traffic:
    """Collectives of one kind, seen by one chip.

    Attributes:
        count: how many.
        received: bytes, of all of them.
        largest: bytes of the largest array that one of them makes or sums up.
    """

    count: float = 0
    received: float = 0
    largest: float = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        received = self.received + other.received
        return Traffic(self.count + other.count, received, max(self.largest, other.largest))

    def times(self, n: float) -> "Traffic":
        """The traffic of n rounds of a loop whose body sends this."""
        return Traffic(n * self.count, n * self.received, self.largest)


def collective(
    computation: Computation, i: Instruction, devices: int, fused: bool
) -> dict[str, Traffic]:
    """What an instruction moves, by kind; empty if nothing.

    Args:
        computation: it is part of.
        i: the instruction.
        devices: in the program.
        fused: the computation is a fusion's.
    """
    # An asynchronous collective counts where it starts: `-done` is no key of RECEIVED.
    kind = i.opcode.removesuffix("-start")
    if kind not in RECEIVED or (fused and _under_way(computation)):
        return {}
    # By operands: the result of an asynchronous start names its source as well.
    given = [computation[name].arrays for name in i.operands]
    if kind == "collective-permute":
        given = given[:1]  # the others say where it goes
    sent = sum(a.nbytes for arrays in given for a in arrays)
    n = group_size(i.attributes, devices)
    # libtpu writes a reduce-scatter as an all-reduce in a fusion that keeps a slice of the sum.
    if kind == "all-reduce" and fused and _keeps_a_slice(computation):
        kind = "reduce-scatter"
    largest = sent * n if kind == "all-gather" else sent
    return {kind: Traffic(1, sent * RECEIVED[kind](n), largest)}


def group_size(attributes: str, devices: int) -> int:
    """Chips of one group of a collective, in any of the three forms that XLA writes.

    `{{0,1},{2,3}}` lists the groups, `[2,4]<=[8]` says how many there are of which size, and
    `mesh['x'=2,'y'=4] {'y'}` names axes, of which `{'x':(2)4}` takes a part. Without groups all
    `devices` are one.
    """
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", attributes)
    if listed:
        return len(listed[1].split(","))
    tiled = re.search(r"replica_groups=\[\d+,(\d+)\]", attributes)
    if tiled:
        return int(tiled[1])
    named = re.search(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}", attributes)
    if not named:
        return devices
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", named[1]))
    axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", named[2])
    return math.prod(int(part or sizes[axis]) for axis, part in axes)


def _under_way(computation: Computation) -> bool:
    """Whether a fusion starts a collective or computes beside it: it counts where it is done."""
    marks = [found[1] for i in computation.values() if (found := ASYNC.search(i.attributes))]
    parameters = [i.arrays for i in computation.values() if i.opcode == "parameter"]
    # A transfer under way is handed from fusion to fusion with a flag of this type; one that has it
    # and no mark computes beside the transfer.
    flags = any(array.dtype == "u32" for arrays in parameters for array in arrays)
    return "Done" not in marks and ("Start" in marks or flags)


def _keeps_a_slice(computation: Computation) -> bool:
    # Each chip keeps its own part of the sum, which is what a reduce-scatter gives it.
    return any(i.root and i.opcode == "dynamic-slice" for i in computation.values())
