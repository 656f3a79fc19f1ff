"""What one chip does in a compiled program.

XLA's own `cost_analysis` counts the body of a loop once; here it counts as often as it runs. Of the
branches of a conditional the costliest counts.
"""

import functools
from dataclasses import dataclass, field

from duomem_jax.aot.collectives import Traffic, collective
from duomem_jax.aot.flops import flops_of
from duomem_jax.aot.hlo import Computation, Instruction, Program, trip_count
from duomem_jax.aot.memory import memory_traffic


@dataclass(frozen=True)
class Cost:
    """Of one chip and one call.

    Attributes:
        flops: of matrix products and attention.
        hbm: bytes read from and written to the chip's main memory.
        traffic: by kind of collective.
        endless: loops whose number of rounds the text does not say; they count once.
    """

    flops: float = 0
    hbm: float = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    endless: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        none, ours, theirs = Traffic(), self.traffic, other.traffic
        return Cost(
            self.flops + other.flops,
            self.hbm + other.hbm,
            {kind: ours.get(kind, none) + theirs.get(kind, none) for kind in ours | theirs},
            self.endless + other.endless,
        )

    def times(self, n: int) -> "Cost":
        """Of n rounds."""
        return Cost(
            n * self.flops,
            n * self.hbm,
            {kind: traffic.times(n) for kind, traffic in self.traffic.items()},
            self.endless,
        )

    @property
    def received(self) -> float:
        """Bytes from other chips."""
        return sum(traffic.received for traffic in self.traffic.values())


def cost_of(program: Program, devices: int) -> Cost:
    """Cost of one call of a program that was compiled for so many chips."""

    @functools.cache
    def whole(name: str, fused: bool) -> Cost:
        computation = program.computations[name]
        return sum((one(computation, i, fused) for i in computation.values()), Cost())

    def one(computation: Computation, i: Instruction, fused: bool) -> Cost:
        own = Cost(
            flops_of(computation, i),
            0 if fused else memory_traffic(program, computation, i),
            collective(computation, i, devices, fused),
        )
        if i.opcode == "while":
            rounds = trip_count(program, computation, i)
            body = whole(i.called("body")[0], fused).times(1 if rounds is None else rounds)
            return own + body + Cost(endless=int(rounds is None))
        if i.opcode == "conditional":
            names = i.called("branch_computations", "true_computation", "false_computation")
            return own + max((whole(name, fused) for name in names), key=lambda c: (c.flops, c.hbm))
        if i.opcode == "fusion":
            return own + whole(i.called("calls")[0], True)
        if i.opcode in ("call", "async-start"):
            return own + whole(i.called("to_apply", "calls")[0], fused)
        return own

    return whole(program.entry, False)
