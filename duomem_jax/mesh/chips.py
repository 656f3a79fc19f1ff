"""What a TPU chip has and can do, known before one is there.

From the specification tables of Google Cloud's pages on v5e, v5p and v6e
(docs.cloud.google.com/tpu/docs/v5e, /v5p, /v6e). Of the memory the runtime keeps some for itself;
the compiler's own limit is the one that decides whether a step fits.
"""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One chip; rates are peaks.

    Attributes:
        name: as in `v5e:4x4`.
        axes: of the grid of chips.
        hbm: bytes of memory.
        flops: bfloat16 operations a second.
        hbm_rate: bytes of memory a second.
        ici_rate: bytes a second over all links to other chips, both directions together.
    """

    name: str
    axes: int
    hbm: int
    flops: float
    hbm_rate: float
    ici_rate: float


# A device that is not here has no MFU, and `mesh.fsdp` is 1 unless it is set.
CHIPS = {  # by the name that JAX gives the device
    "TPU v5 lite": Chip("v5e", 2, 16 * GIB, 197e12, 819e9, 400e9),
    "TPU v5": Chip("v5p", 3, 95 * GIB, 459e12, 2765e9, 1200e9),
    "TPU v6 lite": Chip("v6e", 2, 32 * GIB, 918e12, 1638e9, 800e9),
}
