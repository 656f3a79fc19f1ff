"""How many devices each axis of the mesh has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MeshConfig:
    """How many devices each mesh axis has."""

    data: int = -1  # -1: all devices the other axes leave
    fsdp: int = -1  # -1: as few as the model's size and the chip's memory ask for
    tensor: int = 1
