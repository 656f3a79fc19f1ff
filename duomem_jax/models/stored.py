"""The tensors of a folder of .safetensors files, read slice by slice to where they are wanted."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from duomem_jax.base.errors import UserError

# Tensors that some checkpoints hold beyond what we read: a tied head is stored twice.
NOT_NEEDED = ("rotary_emb.inv_freq", "lm_head.weight")
PIECE = 1 << 26  # bytes read from a file at a time


class Tensor(NamedTuple):
    """Where one lies, from the head of its file."""

    file: Path
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """The tensors a parameter is made of.

    Attributes:
        names: of one tensor, or of one for each layer.
        transpose: the parameter is [in, out], the tensor [out, in].
        stacked: the parameter has a leading axis of layers, one tensor for each.
    """

    names: tuple[str, ...]
    transpose: bool
    stacked: bool = False

    def tensor_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of each tensor, for a parameter of that shape."""
        shape = shape[1:] if self.stacked else shape
        return shape[::-1] if self.transpose else shape

    def layers(self) -> list["Source"]:
        """The source of each layer of a stack."""
        return [Source((name,), self.transpose) for name in self.names]


class StoredTensors:
    """What lies in a folder; opening it reads the heads of its files only.

    Attributes:
        tensors: by name.
    """

    def __init__(self, folder: str | os.PathLike):
        """Read the heads.

        Args:
            folder: with one or more .safetensors files.

        Raises:
            UserError: no such file, or a damaged one.
        """
        from safetensors import SafetensorError, safe_open

        self._folder = Path(folder)
        self.tensors: dict[str, Tensor] = {}
        files = sorted(self._folder.glob("*.safetensors"))
        if not files:
            raise UserError(f"{folder}: no .safetensors file; give a folder with weights")
        for file in files:
            try:
                with safe_open(file, framework="numpy") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a dict
                        shape = tuple(tensors.get_slice(name).get_shape())
                        self.tensors[name] = Tensor(file, shape)
            except SafetensorError as e:
                raise UserError(f"{file}: damaged ({e}); download the model again") from None

    def check(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse a folder that is not the model its config describes, before anything is read.

        Args:
            wanted: shape of each tensor, by name.

        Raises:
            UserError: a tensor is missing, has another shape, or no place in the model.
        """
        missing = wanted.keys() - self.tensors.keys()
        if missing:
            raise UserError(
                f"{self._folder}: tensor {min(missing)} is missing; download the model again"
            )
        for name, (file, found) in self.tensors.items():
            if name not in wanted and not name.endswith(NOT_NEEDED):
                raise UserError(
                    f"{file}: tensor {name} has no place in the model that config.json "
                    "describes; use the files of one model"
                )
            if name in wanted and wanted[name] != found:
                raise UserError(
                    f"{file}: tensor {name} has shape {found} where config.json says "
                    f"{wanted[name]}; download the model again"
                )

    def read(self, source: Source, shape: jax.ShapeDtypeStruct) -> jax.Array:
        """A parameter of `shape`, whose sharding says where; only this host's slices are read."""

        def shard(index: Any) -> np.ndarray:
            # An index has a slice for each axis; open ends are the axis' own.
            spans = [range(*s.indices(n)) for s, n in zip(index, shape.shape, strict=True)]
            out = _aligned([len(span) for span in spans], shape.dtype)
            if not source.stacked:
                self._fill(out, source.names[0], spans, source.transpose)
                return out
            for layer, i in enumerate(spans[0]):
                self._fill(out[layer], source.names[i], spans[1:], source.transpose)
            return out

        return jax.make_array_from_callback(shape.shape, shape.sharding, shard)

    def _fill(self, out: np.ndarray, name: str, spans: list[range], transpose: bool) -> None:
        """Copy a tensor's slice to `out`.

        The file is mapped into memory, and what was read of it counts as this process's: it is
        opened again for each piece, so that no more than a piece stays.
        """
        from safetensors import safe_open

        if transpose:
            # A view: rows of the file fill columns of the parameter without another copy.
            out, spans = out.T, spans[::-1]
        file, (_, *width) = self.tensors[name]
        rows, *others = (slice(span.start, span.stop) for span in spans)
        # Four bytes an entry, as in float32, the widest that weights come in.
        step = max(1, PIECE // (4 * math.prod(width)))
        for at in range(0, len(out), step):
            end = min(rows.start + at + step, rows.stop)
            with safe_open(file, framework="numpy") as tensors:
                piece = tensors.get_slice(name)[(slice(rows.start + at, end), *others)]
                # The assignment converts to the dtype of the parameter.
                out[at : at + step] = piece


def _aligned(shape: list[int], dtype: Any) -> np.ndarray:
    """Room where JAX wants an array on a CPU, which then uses it as it is and copies nothing."""
    # It asks for a multiple of 64 bytes.
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)
