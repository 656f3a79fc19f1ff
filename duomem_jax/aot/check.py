"""`duomem compile-check`: what the steps of a config need and cost on a slice of TPUs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
from jax.sharding import Mesh

from duomem_jax.aot.hlo import parse
from duomem_jax.aot.roofline import Roofline, model_flops, roofline
from duomem_jax.aot.steps import RowSizes, compile_decode, compile_train
from duomem_jax.aot.topology import Topology
from duomem_jax.aot.work import Work, work_of
from duomem_jax.base.errors import UserError, first_line
from duomem_jax.train.checks import check_shown
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.plan import Plan, sketch

# Two ways in which libtpu says that a program does not fit: what it needs, what there is.
SIZE = r"([\d.]+[KMGT])"
Compiler = Callable[[Plan, RowSizes], jax.stages.Compiled]
COMPILERS: dict[str, Compiler] = {"train": compile_train, "decode": compile_decode}
TOO_LARGE = re.compile(rf"Used {SIZE} of {SIZE} hbm|\({SIZE}\) exceeds available HBM \({SIZE}\)")


@dataclass(frozen=True)
class CompiledStep:
    """One compiled step on one chip; bytes unless said otherwise.

    Attributes:
        name: train or decode.
        arguments: weights, state, batch or cache.
        temporaries: what the step needs beside them.
        rest: results that do not take the place of arguments, and the program.
        free: share of the chip's memory that is left.
        cost: operations and traffic.
        least: seconds, by what limits them.
        mfu: share of the peak, at most; None for decoding.
    """

    name: str
    arguments: int
    temporaries: int
    rest: int
    free: float
    cost: Work
    least: Roofline
    mfu: float | None


@dataclass(frozen=True)
class Check:
    """What was compiled, and what came of it."""

    model: str
    topology: str
    mesh: dict[str, int]
    global_batch: int
    rows: RowSizes
    steps: tuple[CompiledStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return asdict(self) | {"rows": self.rows._asdict()}


def check(
    config: TrainConfig,
    topology: Topology,
    devices: Sequence[jax.Device],
    rows: RowSizes,
    names: tuple[str, ...],
) -> Check:
    """Compile the named steps of a config for a slice that need not exist.

    Args:
        config: of the run; of `base` and `teacher` the config.json alone is read.
        topology: the chips.
        devices: of the topology, from `compile_devices`.
        rows: what the data would say.
        names: train, decode or both.

    Raises:
        UserError: no such model, a mesh that is impossible, or a step that does not fit.
    """
    if rows.tiles:
        check_shown(config)
    plan = sketch(config, devices)
    rows = rows.read_by(plan)
    steps = []
    for name in names:
        compiled = _compile(COMPILERS[name], name, plan, rows, topology)
        cost = work_of(parse(_text(compiled)), topology.chips)
        least, mfu = roofline(topology.chip, cost), None
        if name == "train":
            # Of all chips together, while the time and the peak are one chip's.
            mfu = model_flops(plan, rows) / topology.chips / (least.step * topology.chip.flops)
        steps.append(_step(name, compiled, topology.chip.hbm, cost, least, mfu))
    shape = {str(axis): size for axis, size in plan.mesh.shape.items()}
    return Check(config.base, str(topology), shape, config.global_batch, rows, tuple(steps))


def _step(
    name: str, compiled: Any, hbm: int, cost: Work, least: Roofline, mfu: float | None
) -> CompiledStep:
    memory = compiled.memory_analysis()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    # Donated arguments become results in place: their bytes are among the arguments already.
    rest = memory.output_size_in_bytes - memory.alias_size_in_bytes
    rest += memory.generated_code_size_in_bytes
    # Of the nominal memory. The compiler's own limit is lower, and decides what fits
    # (`mesh.chips`).
    free = 1 - (arguments + temporaries + rest) / hbm
    return CompiledStep(name, arguments, temporaries, rest, free, cost, least, mfu)


def _text(compiled: jax.stages.Compiled) -> str:
    try:
        return compiled.as_text() or ""
    except jax.errors.JaxRuntimeError as e:
        raise UserError(
            f"libtpu has compiled a program that jaxlib {jax.lib.__version__} cannot read "
            f"({first_line(e)[:60]}...); install the libtpu of duomem-jax[tpu]"
        ) from None


def _compile(
    make: Compiler, name: str, plan: Plan, rows: RowSizes, topology: Topology
) -> jax.stages.Compiled:
    try:
        return make(plan, rows)
    except jax.errors.JaxRuntimeError as e:
        # The one error that is the config's fault; whatever else libtpu raises is shown as it is.
        found = TOO_LARGE.search(str(e))
        if not found:
            raise
        # Two of four groups have matched. libtpu writes 16.84G and means GiB.
        needs, has = (f"{size[:-1]} {size[-1]}iB" for size in found.groups() if size)
        raise UserError(
            f"{plan.config.base} on {topology}: the {name} step does not fit: needs {needs} a "
            f"chip, has {has}; try {_remedy(plan.config, plan.mesh, name)}"
        ) from None


def _remedy(config: TrainConfig, mesh: Mesh, name: str) -> str:
    """What makes it smaller, the cheapest first."""
    share, axes = config.global_batch // (mesh.shape["data"] * mesh.shape["fsdp"]), mesh.shape
    if name == "train" and not config.remat:
        return "remat"
    if share > 1:
        return f"global_batch={config.global_batch // share * (share // 2)}"
    if axes["data"] > 1:
        return f"mesh.fsdp={2 * axes['fsdp']}"
    return "a larger slice" if config.quantize else "quantize=int8 or a larger slice"
