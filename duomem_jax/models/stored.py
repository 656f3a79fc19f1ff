"""The tensors of a folder of .safetensors files, read slice by slice to where they are wanted."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.models.naming import PLAIN, Naming
from duomem_jax.models.weight_files import AGAIN, weight_files

TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"
NOT_NEEDED = "rotary_emb.inv_freq"  # which old checkpoints hold: it follows from the config
# Others, such as 8 bits, come with scales that would be lost.
FLOATS = ("F64", "F32", "F16", "BF16")
PIECE = 1 << 26  # bytes read from a file at a time


class Tensor(NamedTuple):
    """Where one lies, from the head of its file."""

    file: Path
    name: str  # in that file
    shape: tuple[int, ...]
    dtype: str  # as safetensors calls it, such as "BF16"


@dataclass(frozen=True)
class Source:
    """The tensors a parameter is made of.

    Attributes:
        names: of one tensor, or of one for each layer.
        transpose: the parameter is [in, out], the tensor [out, in].
        stacked: the parameter has a leading axis of layers, one tensor for each.
        ones: axes of length one that the tensor has in front, and the parameter has not.
    """

    names: tuple[str, ...]
    transpose: bool
    stacked: bool = False
    ones: int = 0

    def tensor_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of each tensor, for a parameter of that shape."""
        shape = shape[1:] if self.stacked else shape
        return (1,) * self.ones + (shape[::-1] if self.transpose else shape)

    def layers(self) -> list["Source"]:
        """The source of each layer of a stack."""
        return [Source((name,), self.transpose) for name in self.names]


class StoredTensors:
    """What lies in a folder; opening it reads the heads of its files only.

    Attributes:
        tensors: by name.
    """

    def __init__(self, folder: str | os.PathLike, naming: Naming = PLAIN):
        """Read the heads.

        Args:
            folder: with weights (`weight_files.weight_files`).
            naming: which of its tensors are looked at, and what they are called here.

        Raises:
            UserError: no such file, a damaged one, or a tensor that is found twice.
        """
        from safetensors import SafetensorError, safe_open

        self._folder, self._naming = Path(folder), naming
        self.tensors: dict[str, Tensor] = {}
        for file in weight_files(folder):
            try:
                with safe_open(file, framework="numpy") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a dict
                        self._add(name, file, tensors.get_slice(name))
            except (SafetensorError, OSError) as e:
                raise UserError(f"{file}: damaged ({first_line(e)}); {AGAIN}") from None

    def _add(self, stored: str, file: Path, found: Any) -> None:
        name = self._naming.read(stored)
        if name is None:
            return
        if name in self.tensors:
            raise UserError(
                f"{self._folder}: tensor {stored} is in {self.tensors[name].file.name} and in "
                f"{file.name}; use the files of one model"
            )
        self.tensors[name] = Tensor(file, stored, tuple(found.get_shape()), found.get_dtype())

    def check(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse a folder that is not the model its config describes, before anything is read.

        Args:
            wanted: shape of each tensor, by name.

        Raises:
            UserError: a tensor is missing, has another shape, or no place in the model.
        """
        if HEAD in wanted and HEAD not in self.tensors:
            raise UserError(
                f"{self._folder}: tensor {self._written(HEAD)} is missing, and tie_word_embeddings "
                f"in config.json is not true; {AGAIN}, or set it if the model's head is its table "
                "of embeddings"
            )
        missing = wanted.keys() - self.tensors.keys()
        if missing:
            raise UserError(
                f"{self._folder}: tensor {self._written(min(missing))} is missing; {AGAIN}"
            )
        for name, (file, stored, found, dtype) in self.tensors.items():
            if name not in wanted:
                if name != HEAD and not name.endswith(NOT_NEEDED):
                    raise UserError(
                        f"{file}: tensor {stored} has no place in the model that config.json "
                        "describes; use the files of one model"
                    )
            elif wanted[name] != found:
                raise UserError(
                    f"{file}: tensor {stored} has shape {found} where config.json says "
                    f"{wanted[name]}; {AGAIN}"
                )
            elif dtype not in FLOATS:
                raise UserError(
                    f"{file}: tensor {stored} holds {dtype}; supported: {', '.join(FLOATS)}, so "
                    "give the model as it was before it was quantised"
                )
        if HEAD in self.tensors and HEAD not in wanted:
            self._check_tied()

    def _check_tied(self) -> None:
        """Refuse a head that is stored although it is tied, and is not the table of embeddings."""
        table, head = self.tensors[TABLE], self.tensors[HEAD]
        # Releases of transformers differ in which of the two such a model has.
        same = table.shape == head.shape and head.dtype in FLOATS
        if not same or not self._equal(table, head):
            raise UserError(
                f"{head.file}: tensor {head.name} is not {table.name}, although "
                "tie_word_embeddings in config.json is true; set it to false, or use the files of "
                "one model"
            )

    def _written(self, name: str) -> str:
        return self._naming.written(name)

    def _equal(self, first: Tensor, second: Tensor) -> bool:
        """Whether two tensors of one shape hold the same."""
        from safetensors import safe_open

        length, *width = first.shape
        step = max(1, PIECE // (4 * math.prod(width)))
        for at in range(0, length, step):
            # Opened for each piece, as in `_fill`.
            with safe_open(first.file, "numpy") as a, safe_open(second.file, "numpy") as b:
                rows = slice(at, min(at + step, length))
                pieces = a.get_slice(first.name)[rows], b.get_slice(second.name)[rows]
                if not np.array_equal(*pieces):
                    return False
        return True

    def read(self, source: Source, shape: jax.ShapeDtypeStruct) -> jax.Array:
        """A parameter of `shape`, whose sharding says where; only this host's slices are read."""

        def shard(index: Any) -> np.ndarray:
            # An index has a slice for each axis; open ends are the axis' own.
            spans = [range(*s.indices(n)) for s, n in zip(index, shape.shape, strict=True)]
            out = _aligned([len(span) for span in spans], shape.dtype)
            if not source.stacked:
                ones = [range(1)] * source.ones
                whole = out.reshape((1,) * source.ones + out.shape)
                self._fill(whole, source.names[0], ones + spans, source.transpose)
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
        file, stored, (_, *width), _ = self.tensors[name]
        rows, *others = (slice(span.start, span.stop) for span in spans)
        # Four bytes an entry, as in float32, the widest that weights come in.
        step = max(1, PIECE // (4 * math.prod(width)))
        for at in range(0, len(out), step):
            end = min(rows.start + at + step, rows.stop)
            with safe_open(file, framework="numpy") as tensors:
                piece = tensors.get_slice(stored)[(slice(rows.start + at, end), *others)]
                # The assignment converts to the dtype of the parameter.
                out[at : at + step] = piece


def stored_dtype(folder: str | os.PathLike) -> str:
    """The dtype, float32 or bfloat16, in which a folder's weights can be written without loss.

    Raises:
        UserError: the folder has no weights, or damaged ones.
    """
    found = {tensor.dtype for tensor in StoredTensors(folder).tensors.values()}
    return "bfloat16" if found == {"BF16"} else "float32"


def _aligned(shape: list[int], dtype: Any) -> np.ndarray:
    """Room where JAX wants an array on a CPU, which then uses it as it is and copies nothing."""
    # It asks for a multiple of 64 bytes.
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)
