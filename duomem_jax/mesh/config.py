"""How many devices each axis of the mesh has."""

from typing import Annotated

from annotated_types import Interval

from duomem_jax.base.ranges import Few, options

Devices = Annotated[int, Interval(ge=-1, le=2**16)]


@options
class MeshConfig:
    """How many devices each mesh axis has."""

    data: Devices = -1  # -1: all devices the other axes leave
    fsdp: Devices = -1  # -1: as few as the model's size and the chip's memory ask for
    tensor: Few = 1
