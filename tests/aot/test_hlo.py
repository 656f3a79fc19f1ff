"""The form of XLA's text, as the installed JAX writes it: what `duomem_jax.aot` looks for in it."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.aot.hlo import CHECKED, HEADER, LINE, parse

L, B, D = 5, 16, 64


def text_of(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


@functools.cache
def texts():
    """One program for each thing that is read: a split loop, a convolution, a conditional."""
    mesh = Mesh(np.array(jax.devices()), ("x",), axis_types=(AxisType.Auto,))

    def put(shape, spec):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec))

    def loop(x_BD, kernels_LDD):
        return lax.scan(lambda x, k: (jnp.tanh(x @ k), None), x_BD, kernels_LDD)[0].sum(0)

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (2,), [(3, 3)], (4,), (2,), dimension_numbers=("NWC", "WIO", "NWC")
        )

    def branch(n, x):
        return lax.cond(n > 3, lambda x: x @ x @ x, lambda x: x @ x, x)

    return {
        "loop": text_of(loop, put((B, D), P("x")), put((L, D, D), P(None, "x"))),
        "convolution": text_of(convolve, jnp.zeros((4, 12, 8)), jnp.zeros((3, 8, 16))),
        "conditional": text_of(branch, jnp.int32(0), jnp.zeros((D, D))),
    }


@pytest.mark.parametrize(
    ("program", "mark", "reader"),
    [
        ("loop", HEADER.pattern, "hlo.HEADER"),
        ("loop", LINE.pattern, "hlo.LINE"),
        ("loop", r"^ENTRY %", "hlo.parse"),
        ("loop", r"f32\[64,64\]\{[\d,]+[^}]*\}", "hlo.ARRAY"),
        ("loop", r'known_trip_count":\{"n":"5"\}', "hlo.trip_count"),
        ("loop", r"while\(%.*condition=%[\w.\-]+, body=%[\w.\-]+", "Instruction.called"),
        ("loop", r"fusion\(.*calls=%[\w.\-]+", "Instruction.called"),
        ("loop", r"index=\d+", "hlo.trip_count"),
        ("loop", r"lhs_contracting_dims=\{\d+\}", "flops.flops_of"),
        ("loop", r"all-gather(-start)?\(.*replica_groups=(\{\{|\[|mesh\[)", "collectives"),
        ("convolution", r"dim_labels=\w+_\w+->\w+", "flops._multiplications"),
        ("convolution", r"window=\{size=3 .*stride=2 .*pad=3_3", "flops._window"),
        ("convolution", r"lhs_dilate=4 .*rhs_dilate=2", "flops._window"),
        ("conditional", r"conditional\(.*(branch_computations=\{%|true_computation=%)", "work"),
    ],
)
def test_text_has_the_marks_that_are_read(program, mark, reader):
    assert re.search(mark, texts()[program], re.MULTILINE), (
        f"JAX {jax.__version__} writes compiled programs in another form than JAX {CHECKED}, with "
        f"which duomem_jax/aot was checked: nothing matches {mark!r}, which {reader} reads; adapt "
        "it to the new form"
    )


def test_parse_reads_arrays_of_small_floats():
    text = text_of(lambda x: x.astype(jnp.float8_e4m3fn), jnp.zeros((4, 8), jnp.bfloat16))
    program = parse(text)
    (root,) = [i for i in program.computations[program.entry].values() if i.root]
    assert [(a.dtype, a.shape, a.nbytes) for a in root.arrays] == [("f8e4m3fn", (4, 8), 32)]


def test_parse_reads_every_line_of_a_program():
    text = texts()["loop"]
    found = parse(text)
    lines = [line for line in text.splitlines() if " = " in line and line.startswith(" ")]
    assert sum(len(computation) for computation in found.computations.values()) == len(lines)


def test_parse_refuses_another_form():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        parse("module @jit_f {\n  func.func public @main() {\n  }\n}")
