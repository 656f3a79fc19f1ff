"""What one chip does in a compiled program.

The body of a loop counts as often as it runs, and of the branches of a conditional the costliest
counts. XLA's own `Compiled.cost_analysis` counts the body of a loop once, and says nothing of what
chips send each other; `jax.experimental.roofline` (JAX 0.10) reads the program as it was written,
before XLA parts it among chips, and knows no loops. A model here is a loop over its layers.
"""

import functools
from dataclasses import dataclass, field

from duomem_jax.aot.collectives import Traffic, collective
from duomem_jax.aot.flops import flops_of
from duomem_jax.aot.hlo import Computation, Instruction, Program, trip_count
from duomem_jax.aot.memory import memory_traffic


@dataclass(frozen=True)
class Work:
    """What one chip does in one call.

    Attributes:
        flops: of matrix products and attention.
        hbm: bytes read from and written to the chip's main memory (HBM).
        traffic: bytes between chips, by kind of collective.
        endless: loops whose number of rounds the text does not say; each counts as one round.
    """

    flops: float = 0
    hbm: float = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    endless: int = 0

    def __add__(self, other: "Work") -> "Work":
        kinds = self.traffic | other.traffic
        none = Traffic()
        return Work(
            self.flops + other.flops,
            self.hbm + other.hbm,
            {k: self.traffic.get(k, none) + other.traffic.get(k, none) for k in kinds},
            self.endless + other.endless,
        )

    def times(self, n: int) -> "Work":
        """The work of n rounds of a loop whose body this is."""
        return Work(
            n * self.flops,
            n * self.hbm,
            {kind: traffic.times(n) for kind, traffic in self.traffic.items()},
            self.endless,
        )

    @property
    def received(self) -> float:
        """Bytes that the chip gets from others."""
        return sum(traffic.received for traffic in self.traffic.values())


def work_of(program: Program, devices: int) -> Work:
    """The work of one call.

    Args:
        program: a compiled module's text, parsed.
        devices: chips that it was compiled for.
    """

    # Several instructions may call one computation. `fused` is part of the key: within a fusion no
    # instruction touches main memory by itself.
    @functools.cache
    def whole(name: str, fused: bool) -> Work:
        computation = program.computations[name]
        return sum((one(computation, i, fused) for i in computation.values()), Work())

    def one(computation: Computation, i: Instruction, fused: bool) -> Work:
        own = Work(
            flops_of(computation, i),
            # Values inside a fusion stay on the chip; the fusion as a whole reads and writes.
            0 if fused else memory_traffic(program, computation, i),
            collective(computation, i, devices, fused),
        )
        if i.opcode == "while":
            # The condition is not counted: it compares a counter.
            rounds = trip_count(program, computation, i)
            body = whole(i.called("body")[0], fused).times(1 if rounds is None else rounds)
            return own + body + Work(endless=int(rounds is None))
        if i.opcode == "conditional":
            names = i.called("branch_computations", "true_computation", "false_computation")
            # An upper bound: which branch is taken is known only when it runs.
            return own + max((whole(name, fused) for name in names), key=lambda c: (c.flops, c.hbm))
        if i.opcode == "fusion":
            return own + whole(i.called("calls")[0], True)
        if i.opcode in ("call", "async-start"):
            return own + whole(i.called("to_apply", "calls")[0], fused)
        return own

    return whole(program.entry, False)
