"""The work of a compiled program, counted by hand or by XLA's own analysis."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.aot.collectives import Traffic, group_size
from duomem_jax.aot.hlo import parse
from duomem_jax.aot.roofline import roofline
from duomem_jax.aot.work import Work, work_of
from duomem_jax.mesh.chips import CHIPS

L, B, D = 5, 16, 64


def compiled_work(function, *args, devices=1):
    return work_of(parse(jax.jit(function).lower(*args).compile().as_text()), devices)


def test_work_of_a_loop_over_split_kernels():
    mesh = Mesh(np.array(jax.devices()), ("x",), axis_types=(AxisType.Auto,))

    def put(shape, spec):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec))

    def forward(x_BD, kernels_LDD):
        x_BD = lax.scan(lambda x, k: (jnp.tanh(x @ k), None), x_BD, kernels_LDD)[0]
        return x_BD.sum(0)

    args = put((B, D), P("x")), put((L, D, D), P(None, "x"))
    work = compiled_work(forward, *args, devices=8)
    assert work.flops == L * 2 * (B // 8) * D * D  # a chip's rows
    assert work.traffic == {
        "all-gather": Traffic(L, L * 7 / 8 * 4 * D * D, 4 * D * D),
        "all-reduce": Traffic(1, 2 * 7 / 8 * 4 * D, 4 * D),
    }
    assert work.endless == 0


@pytest.mark.parametrize(
    ("strides", "padding", "gap"), [((1,), "VALID", 1), ((2,), "SAME", 1), ((1,), [(3, 3)], 4)]
)
def test_flops_of_convolutions_are_xlas(strides, padding, gap):
    x, kernel = jnp.zeros((4, 12, 8)), jnp.zeros((3, 8, 16))  # on a TPU every product is one
    convolve = functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        lhs_dilation=(gap,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    compiled = jax.jit(convolve).lower(x, kernel).compile()
    assert work_of(parse(compiled.as_text()), 1).flops == compiled.cost_analysis()["flops"] > 0


def test_work_of_a_conditional_and_of_a_loop_of_unknown_rounds():
    def either(n, x):
        x = lax.cond(n > 3, lambda x: x @ x @ x, lambda x: x @ x, x)
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] @ s[1]), (0, x))

    work = compiled_work(either, jnp.int32(0), jnp.zeros((D, D)))
    assert work.flops == (2 + 1) * 2 * D**3  # the costlier branch, one round
    assert work.endless == 1


# As libtpu writes it: an all-gather starts in one fusion, continues in another, ends in a third.
ASYNC = """
HloModule jit_f, num_partitions=8

%start (p.0: bf16[1,64]) -> (bf16[1,64], bf16[8,64], u32[]) {
  %p.0 = bf16[1,64]{1,0:T(8,128)(2,1)S(1)} parameter(0)
  %all-gather.1 = bf16[8,64]{1,0} all-gather(%p.0), channel_id=1, replica_groups=mesh['a'=8] {'a'}
  ROOT %c.1 = (bf16[1,64]{1,0}, bf16[8,64]{1,0}, u32[]{:S(2)}) custom-call(%all-gather.1), custom_call_target="AsyncCollectiveStart"
}

%beside (p.1: bf16[1,64], p.2: bf16[8,64], p.3: u32[]) -> (bf16[1,64], bf16[8,64], u32[]) {
  %p.1 = bf16[1,64]{1,0} parameter(0)
  %p.2 = bf16[8,64]{1,0} parameter(1)
  %p.3 = u32[]{:S(2)} parameter(2)
  %all-gather.2 = bf16[8,64]{1,0} all-gather(%p.1), channel_id=1, replica_groups=mesh['a'=8] {'a'}
  ROOT %t.1 = (bf16[1,64]{1,0}, bf16[8,64]{1,0}, u32[]{:S(2)}) tuple(%p.1, %p.2, %p.3)
}

%done (p.4: bf16[1,64], p.5: bf16[8,64], p.6: u32[]) -> bf16[8,64] {
  %p.4 = bf16[1,64]{1,0} parameter(0)
  %p.5 = bf16[8,64]{1,0} parameter(1)
  %p.6 = u32[]{:S(2)} parameter(2)
  %all-gather.3 = bf16[8,64]{1,0} all-gather(%p.4), channel_id=1, replica_groups=mesh['a'=8] {'a'}
  ROOT %c.2 = bf16[8,64]{1,0} custom-call(%p.4, %p.5, %all-gather.3), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main (x: bf16[1,64]) -> bf16[8,64] {
  %x = bf16[1,64]{1,0:T(8,128)(2,1)} parameter(0)
  %f.1 = (bf16[1,64]{1,0}, bf16[8,64]{1,0}, u32[]{:S(2)}) fusion(%x), kind=kCustom, calls=%start
  %g.1 = bf16[1,64]{1,0} get-tuple-element(%f.1), index=0
  %g.2 = bf16[8,64]{1,0} get-tuple-element(%f.1), index=1
  %g.3 = u32[]{:S(2)} get-tuple-element(%f.1), index=2
  %f.2 = (bf16[1,64]{1,0}, bf16[8,64]{1,0}, u32[]{:S(2)}) fusion(%g.1, %g.2, /*index=2*/%g.3), kind=kCustom, calls=%beside
  %g.4 = bf16[1,64]{1,0} get-tuple-element(%f.2), index=0
  %g.5 = bf16[8,64]{1,0} get-tuple-element(%f.2), index=1
  %g.6 = u32[]{:S(2)} get-tuple-element(%f.2), index=2
  ROOT %f.3 = bf16[8,64]{1,0} fusion(%g.4, %g.5, %g.6), kind=kCustom, calls=%done
}
"""  # noqa: E501


def test_collective_in_three_fusions_counts_once():
    work = work_of(parse(ASYNC), 8)
    assert work.traffic == {"all-gather": Traffic(1, 7 * 2 * 64, 8 * 2 * 64)}


def test_memory_traffic_of_a_slice():
    rows = 1000

    def pick(table, i):
        return lax.dynamic_slice_in_dim(table, i, 2) * 2

    work = compiled_work(pick, jnp.zeros((rows, D)), jnp.int32(3))
    assert 2 * 2 * 4 * D <= work.hbm < rows * 4 * D / 10


# A kernel of a stack, read through two fusions, in a loop by twos whose rounds are said nowhere.
NESTED = """
HloModule jit_f

%slice (q.0: bf16[9,64,64], q.1: s32[]) -> bf16[64,64] {
  %q.0 = bf16[9,64,64]{2,1,0} parameter(0)
  %q.1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  %ds = bf16[1,64,64]{2,1,0} dynamic-slice(%q.0, %q.1, %zero, %zero), dynamic_slice_sizes={1,64,64}
  ROOT %b = bf16[64,64]{1,0} bitcast(%ds)
}

%product (r.0: bf16[9,64,64], r.1: s32[], r.2: bf16[8,64]) -> bf16[8,64] {
  %r.0 = bf16[9,64,64]{2,1,0} parameter(0)
  %r.1 = s32[] parameter(1)
  %r.2 = bf16[8,64]{1,0} parameter(2)
  %kernel = bf16[64,64]{1,0} fusion(%r.0, %r.1), kind=kLoop, calls=%slice
  ROOT %c = bf16[8,64]{1,0} convolution(%r.2, %kernel), dim_labels=bf_io->bf
}

%body (s: (s32[], bf16[8,64], bf16[9,64,64])) -> (s32[], bf16[8,64], bf16[9,64,64]) {
  %s = (s32[], bf16[8,64]{1,0}, bf16[9,64,64]{2,1,0}) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %x = bf16[8,64]{1,0} get-tuple-element(%s), index=1
  %stack = bf16[9,64,64]{2,1,0} get-tuple-element(%s), index=2
  %two = s32[] constant(2)
  %next = s32[]{:S(6)} add(%i, %two)
  %y = bf16[8,64]{1,0:T(8,128)(2,1)S(1)} fusion(%stack, %i, %x), kind=kOutput, calls=%product
  ROOT %t = (s32[], bf16[8,64]{1,0}, bf16[9,64,64]{2,1,0}) tuple(%next, %y, %stack)
}

%condition (u: (s32[], bf16[8,64], bf16[9,64,64])) -> pred[] {
  %u = (s32[], bf16[8,64]{1,0}, bf16[9,64,64]{2,1,0}) parameter(0)
  %j = s32[] get-tuple-element(%u), index=0
  %end = s32[] constant(9)
  ROOT %less = pred[]{:S(6)} compare(%j, %end), direction=LT
}

ENTRY %main (a: bf16[8,64], w: bf16[9,64,64]) -> bf16[8,64] {
  %a = bf16[8,64]{1,0:S(1)} parameter(0)
  %w = bf16[9,64,64]{2,1,0} parameter(1)
  %none = s32[] constant(0)
  %start = s32[] copy(%none)
  %init = (s32[], bf16[8,64]{1,0}, bf16[9,64,64]{2,1,0}) tuple(%start, %a, %w)
  %loop = (s32[], bf16[8,64]{1,0}, bf16[9,64,64]{2,1,0}) while(%init), condition=%condition, body=%body
  ROOT %out = bf16[8,64]{1,0} get-tuple-element(%loop), index=1
}
"""  # noqa: E501


def test_trip_count_of_a_loop_by_twos_over_a_stack_of_kernels():
    work = work_of(parse(NESTED), 1)
    rounds, words = 5, 4  # numbers of the loop's counter and of its copies
    assert work.flops == rounds * 2 * 8 * 64 * 64
    kernel, rows = 2 * 64 * 64, 2 * 8 * 64  # y stays in the fast memory, x does not
    assert work.hbm == pytest.approx(rounds * (kernel + rows), abs=rounds * 4 * words)
    assert work.endless == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("replica_groups={{0,1,2,3},{4,5,6,7}}", 4),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", 2),
        ("replica_groups=mesh['x'=2,'y'=4] {'y'}, dimensions={0}", 4),
        ("replica_groups=mesh['x'=2,'y'=4] {'x','y'}", 8),
        ("replica_groups=mesh['x'=16] {'x':(2)4}", 4),
        ("channel_id=1", 8),
    ],
)
def test_group_size(text, size):
    assert group_size(text, 8) == size


def test_roofline_step_is_the_longest_of_three():
    chip = CHIPS["TPU v5 lite"]
    least = roofline(chip, Work(197e12, 2 * 819e9, {"all-gather": Traffic(1, 50e9, 0)}))
    assert (least.compute, least.memory, least.network) == (1, 2, 0.25)
    assert (least.step, least.bound) == (2, "memory")
