"""What `duomem compile-check` found, as text."""

from duomem_jax.aot.check import Check, CompiledStep
from duomem_jax.report.table import markdown_table

MIB, GB = 2**20, 1e9


def compiled_text(check: Check) -> str:
    """A heading, a table of the steps and one of what chips send each other."""
    mesh = ", ".join(f"{axis} {size}" for axis, size in check.mesh.items())
    rows = check.rows
    targets = f", {rows.candidates} candidates" if rows.candidates else ""
    targets += f", {rows.tiles} tiles of pictures" if rows.tiles else ""
    return "\n".join(
        [
            f"{check.model} on {check.topology}, mesh {mesh}; {check.global_batch} rows of "
            f"{rows.length:,} tokens, {rows.replies:,} of them replies{targets}. Per chip:",
            "",
            steps_table(check.steps),
            traffic_table(check.steps),
        ]
    )


def steps_table(steps: tuple[CompiledStep, ...]) -> str:
    """Memory, work and the least time of each step."""
    header = ["step", "arguments MiB", "temporaries MiB", "rest MiB", "free %"]
    header += ["TFLOP", "memory GB", "received MiB", "at least s", "bound by", "MFU % at most"]
    rows = [
        [
            s.name,
            *(f"{n / MIB:,.0f}" for n in (s.arguments, s.temporaries, s.rest)),
            f"{100 * s.free:.0f}",
            f"{s.cost.flops / 1e12:,.3f}",
            f"{s.cost.hbm / GB:,.1f}",
            f"{s.cost.received / MIB:,.1f}",
            f"{s.least.step:.4f}",
            s.least.bound,
            "-" if s.mfu is None else f"{100 * s.mfu:.0f}",
        ]
        for s in steps
    ]
    return markdown_table(header, rows)


def traffic_table(steps: tuple[CompiledStep, ...]) -> str:
    """Collectives of each step by kind; empty where there are none."""
    rows = [
        [
            f"{s.name}: {kind}",
            f"{t.count:,.0f}",
            f"{t.received / MIB:,.1f}",
            f"{t.largest / MIB:,.1f}",
        ]
        for s in steps
        for kind, t in sorted(s.cost.traffic.items())
    ]
    header = ["collective", "times a step", "received MiB", "largest array MiB"]
    return markdown_table(header, rows) if rows else ""
