"""Stored dialogues."""

import os
from collections.abc import Sequence
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.records.dialogues import DIALOGUE_LAYOUT, Dialogue, dialogue_from_record
from duomem_jax.records.store.reader import Mapped, read_dataset
from duomem_jax.records.store.spec import DIALOGUES, SPLIT


class DialogueReader(Mapped[Dialogue]):
    """Random access to stored dialogues as `Dialogue`s.

    Args:
        records: what `read_dataset(folder, split)` returned.
        where: the folder they are from, for messages.

    Raises:
        UserError: they were stored by a version whose dialogues had other fields.
    """

    def __init__(self, records: Sequence[dict[str, Any]], where: object = "dialogues") -> None:
        # The first is enough: all records of a dataset have one layout.
        if len(records) and (missing := _missing(DIALOGUE_LAYOUT, records[0])):
            raise UserError(
                f"{where}: dialogues of an older version, without the field {missing}; make them "
                "again in a new folder"
            )
        super().__init__(records, dialogue_from_record)
        self._where = where

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)
        record = self.records[index]
        try:
            return dialogue_from_record(record)
        # The hash of a small dataset was compared; this one is of something else.
        except (TypeError, ValueError, LookupError, AttributeError) as e:
            raise UserError(
                f"{self._where}: record {index} is no dialogue ({e}); make the dialogues again in "
                "a new folder"
            ) from e


def read_dialogues(folder: str | os.PathLike) -> DialogueReader:
    """Stored dialogues, shard by shard, each in the order of their names.

    Raises:
        UserError: the dataset is missing, of another kind, incomplete, cut short or changed.
    """
    return DialogueReader(read_dataset(folder, SPLIT, DIALOGUES), folder)


def _missing(layout: Any, record: Any) -> str:
    """The first field of a layout that a record lacks; "" where it has all."""
    for name, part in layout.items():
        if name not in record:
            return str(name)
        # TFDS gives a list of structures as a structure of lists.
        inner = part[0] if isinstance(part, list) else part
        nested = isinstance(inner, dict) and isinstance(record[name], dict)
        if nested and (lacking := _missing(inner, record[name])):
            return f"{name}.{lacking}"
    return ""
