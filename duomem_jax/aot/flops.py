"""Operations of products: two for each multiplication with its addition."""

import math
import re
from typing import NamedTuple

from duomem_jax.aot.hlo import Computation, Instruction
from duomem_jax.models.splash import BLOCK

KERNEL = 'custom_call_target="tpu_custom_call"'
# Products of a query's and a key's width in each of splash attention's kernels.
# Forward: scores, values. dq: scores again, dP, dQ. dkv: scores again, dP, dV, dK.
SPLASH = {"splash_mha_fwd": 2, "splash_mha_dq": 3, "splash_mha_dkv": 4}


def flops_of(computation: Computation, i: Instruction) -> float:
    """Operations of an instruction; 0 for all that are neither products nor attention.

    Products are `dot`, the `convolution` that a TPU makes of it, and splash attention's kernels.
    """
    if i.opcode == "dot":
        # Each output sums products along the axes that the left side loses.
        shape = computation[i.operands[0]].arrays[0].shape
        found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", i.attributes)
        summed = [shape[int(axis)] for axis in found[1].split(",") if axis] if found else []
        return 2 * i.arrays[0].size * math.prod(summed)
    if i.opcode == "convolution":
        return 2 * _multiplications(computation, i)
    products = next((n for name, n in SPLASH.items() if i.name.startswith(name)), 0)
    if products and KERNEL in i.attributes:
        *rows, T, H = computation[i.operands[2]].arrays[0].shape  # the queries
        # Blocks that no query sees are skipped, for the causal mask's sake alone.
        # That leaves T (T + BLOCK) / 2 pairs of a query and a key.
        return products * 2 * math.prod(rows) * H * T * (T + min(BLOCK, T)) / 2
    return 0


class _Axis(NamedTuple):
    """How a convolution's kernel slides along one spatial axis.

    Attributes:
        inputs: elements of the input along it.
        kernel: elements of the kernel.
        outputs: elements of the result.
        stride: input places from one output to the next.
        before: zeros that the window puts before the input.
        gap: input places from one input element to the next; between them are zeros.
        step: input places from one kernel element to the next.
    """

    inputs: int
    kernel: int
    outputs: int
    stride: int
    before: int
    gap: int
    step: int

    def pairs(self) -> int:
        """How often a kernel element meets an element of the input that is no zero put there."""
        met = 0
        # One by one: which pairs meet depends on padding, stride and both dilations at once.
        for output in range(self.outputs):
            for k in range(self.kernel):
                at = output * self.stride + k * self.step - self.before
                inside = 0 <= at <= (self.inputs - 1) * self.gap
                met += inside and at % self.gap == 0
        return met


def _multiplications(computation: Computation, i: Instruction) -> float:
    """Multiplications of a convolution, but those by padding, which XLA does not count either."""
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", i.attributes)
    assert labels
    left, right, out = labels.groups()  # such as b0f, 0io, b0f: one letter for each axis
    inputs, kernel = (computation[name].arrays[0].shape for name in i.operands[:2])
    outputs = i.arrays[0].shape
    # Input features by the kernel's axis: in a grouped convolution it has a group's share only.
    total = outputs[out.index("b")] * outputs[out.index("f")] * kernel[right.index("i")]
    window = _window(i.attributes)
    for n in range(len(out) - 2):  # the spatial axes are called 0, 1, ...
        axis = _Axis(
            inputs=inputs[left.index(str(n))],
            kernel=kernel[right.index(str(n))],
            outputs=outputs[out.index(str(n))],
            stride=int(window["stride"][n]) if "stride" in window else 1,
            before=int(window["pad"][n].partition("_")[0]) if "pad" in window else 0,
            gap=int(window["lhs_dilate"][n]) if "lhs_dilate" in window else 1,
            step=int(window["rhs_dilate"][n]) if "rhs_dilate" in window else 1,
        )
        total *= axis.pairs()
    return total


def _window(attributes: str) -> dict[str, list[str]]:
    """`window={size=3x3 pad=1_1x0_0}` as `{"size": ["3", "3"], "pad": ["1_1", "0_0"]}`."""
    found = re.search(r"window=\{([^}]*)\}", attributes)
    fields = re.findall(r"(\w+)=([\w\-]+)", found[1]) if found else []
    return {name: value.split("x") for name, value in fields}
