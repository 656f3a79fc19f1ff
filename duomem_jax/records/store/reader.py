"""Random access to the records of a stored split."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.records.store.features import decoder
from duomem_jax.records.store.manifest import SplitFacts, check_files, split_facts

T = TypeVar("T")


class RecordReader(Sequence):
    """Records of one split as dictionaries: str, int, lists and numpy arrays."""

    def __init__(self, folder: Path, split: str, facts: SplitFacts) -> None:
        import grain
        from tensorflow_datasets import features as f

        self.facts = facts
        self._where = f"{folder}: split {split!r}"
        paths = [str(folder / s["file"]) for s in facts["shards"]]
        try:
            # Shards in the order of the manifest, one after another. The fields come from the
            # folder, so that a dataset is read as it was written.
            self._bytes = grain.sources.ArrayRecordDataSource(paths)
            self._decode = decoder(f.FeaturesDict.from_config(str(folder)))
        # Whatever TFDS and protobuf meet in a features.json of any content.
        except Exception as e:
            raise self._damaged(first_line(e)) from e
        # Of large splits only the file sizes were compared.
        if len(self._bytes) != facts["records"]:
            raise self._damaged(f"{len(self._bytes)} records, not {facts['records']}")

    def _damaged(self, why: object) -> UserError:
        return UserError(
            f"{self._where} is damaged ({why}); copy it again from its source or run its stage "
            "again into a new folder"
        )

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        # Iterating over a `Sequence` ends at the first IndexError: no other error will do.
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        from google.protobuf.message import DecodeError

        try:
            return self._decode(self._bytes[index % len(self)])
        except (RuntimeError, ValueError, LookupError, DecodeError) as e:
            raise self._damaged(f"record {index}: {e}") from e


class Mapped(Sequence[T]):
    """Stored records as something else; each is made when it is asked for.

    Attributes:
        records: what `read_dataset` returned.
    """

    def __init__(self, records: Sequence[dict[str, Any]], make: Callable[[dict[str, Any]], T]):
        """Make nothing yet.

        Args:
            records: stored ones.
            make: what one of them stands for.
        """
        self.records, self._make = records, make

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._make(self.records[index])

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self)))


def read_dataset(folder: str | os.PathLike, split: str, name: str = "") -> RecordReader:
    """Open one split of a complete dataset, after a look at its files (`check_files`).

    Args:
        folder: of the dataset.
        split: which one.
        name: of the kind that is wanted, such as `spec.EPISODES`; "": any.

    Raises:
        UserError: missing, of another kind, incomplete, cut short or changed.
    """
    folder = Path(folder)
    facts = split_facts(folder, split, name)
    check_files(folder, facts)
    return RecordReader(folder, split, facts)
