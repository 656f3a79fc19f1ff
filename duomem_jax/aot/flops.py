"""Operations of products; two for each multiplication with its addition."""

import math
import re

from duomem_jax.aot.hlo import Computation, Instruction
from duomem_jax.models.splash import BLOCK

KERNEL = 'custom_call_target="tpu_custom_call"'
# Products of a query's and a key's width in each of splash attention's kernels.
SPLASH = {"splash_mha_fwd": 2, "splash_mha_dq": 3, "splash_mha_dkv": 4}


def flops_of(computation: Computation, i: Instruction) -> float:
    """Of a `dot`, of the `convolution` that a TPU makes of it, of attention; else 0."""
    if i.opcode == "dot":
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
        return products * 2 * math.prod(rows) * H * T * (T + min(BLOCK, T)) / 2
    return 0


def _multiplications(computation: Computation, i: Instruction) -> float:
    """Without those by zeros that a window puts between and around; XLA counts them so, too."""
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", i.attributes)
    assert labels
    left, right, out = labels.groups()
    left_shape, right_shape = (computation[name].arrays[0].shape for name in i.operands[:2])
    shape = i.arrays[0].shape
    text = re.search(r"window=\{([^}]*)\}", i.attributes)
    window = dict(re.findall(r"(\w+)=([\w\-]+)", text[1] if text else ""))
    total = shape[out.index("b")] * shape[out.index("f")] * right_shape[right.index("i")]
    for axis in range(len(out) - 2):  # the spatial ones
        letter = str(axis)

        def along(name: str, default: str, axis: int = axis) -> str:
            return window[name].split("x")[axis] if name in window else default

        size = left_shape[left.index(letter)]
        stride, gap, step = (
            int(along(f"{n}", "1")) for n in ("stride", "lhs_dilate", "rhs_dilate")
        )
        before = int(along("pad", "0_0").partition("_")[0])
        total *= sum(
            0 <= (at := o * stride + k * step - before) <= (size - 1) * gap and at % gap == 0
            for o in range(shape[out.index(letter)])
            for k in range(right_shape[right.index(letter)])
        )
    return total
