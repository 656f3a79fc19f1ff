"""A GGUF file: what it says about a model, and its tensors."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError, first_line

AGAIN = "download the file again"
# What a damaged file ends in, in the package that reads it.
_DAMAGED = (AttributeError, LookupError, MemoryError, OSError, OverflowError, TypeError, ValueError)


class GgufFile:
    """A file that has been opened; tensors are read when they are asked for.

    Attributes:
        path: of the file.
        architecture: as llama.cpp calls it.
    """

    def __init__(self, path: Path):
        """Read what precedes the tensors.

        Raises:
            UserError: the package that reads such files is not there, or it is no such file.
        """
        try:
            from gguf import GGUFReader
        except ImportError:
            raise UserError(f"{path}: pip install duomem-jax[gguf] to read such a file") from None
        self.path = path
        try:
            self._reader = GGUFReader(path)
        except _DAMAGED as e:
            raise self._damaged(e) from None
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self.architecture: str = self.text("general.architecture")

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the metadata: a number, a text, a truth value, or a list of them.

        Raises:
            UserError: it cannot be read.
        """
        field = self._reader.get_field(key)
        if field is None:
            return default
        try:
            value = field.contents()
            return value.item() if isinstance(value, np.generic) else value
        except _DAMAGED as e:
            raise self._damaged(e) from None

    def own(self, name: str, default: Any = None) -> Any:
        """A value of the metadata that belongs to the architecture."""
        return self.get(f"{self.architecture}.{name}", default)

    def own_keys(self) -> list[str]:
        """Names of the values that belong to the architecture."""
        prefix = f"{self.architecture}."
        keys = (key for key in self._reader.fields if key.startswith(prefix))
        return [key.removeprefix(prefix) for key in keys]

    def text(self, key: str) -> str:
        """A text of the metadata.

        Raises:
            UserError: there is none.
        """
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise UserError(f"{self.path}: {key} is {value!r}; {AGAIN}")
        return value

    def names(self) -> Set[str]:
        """Names of the tensors."""
        return self._tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, as PyTorch has it.

        Raises:
            UserError: there is none of this name.
        """
        return tuple(int(size) for size in reversed(self._found(name).shape))

    def tensor(self, name: str) -> np.ndarray:
        """A tensor in float32, its shape as PyTorch has it.

        Raises:
            UserError: there is none of this name, or it is stored in an unknown way.
        """
        from gguf import dequantize

        found = self._found(name)
        try:
            return dequantize(found.data, found.tensor_type)
        except NotImplementedError:
            kind = found.tensor_type.name
            raise UserError(
                f"{self.path}: tensor {name} is stored as {kind}, which the gguf package cannot "
                "unpack; take a file of another quantization, such as Q8_0"
            ) from None
        except _DAMAGED as e:
            raise self._damaged(e) from None

    def _found(self, name: str) -> Any:
        if name not in self._tensors:
            raise UserError(f"{self.path}: tensor {name} is missing; {AGAIN}")
        return self._tensors[name]

    def _damaged(self, error: Exception) -> UserError:
        why = f"{type(error).__name__}: {first_line(error)}"
        return UserError(f"{self.path}: not a whole GGUF file ({why}); {AGAIN}")
