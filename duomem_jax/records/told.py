"""Folders of dialogues, and of demonstrations made from them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    Demonstration,
    demonstration_to_record,
)
from duomem_jax.records.dialogues import (
    DIALOGUE_LAYOUT,
    Dialogue,
    dialogue_from_record,
    dialogue_to_record,
)
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS, DIALOGUES, SPLIT
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset


def write_dialogues(
    out: str | os.PathLike,
    make: Mapping[str, Callable[[], Dialogue]],
    *,
    source: dict[str, Any],
    config: dict[str, Any] | None = None,
    seed: int = 0,
    notes: dict[str, Any] | None = None,
    shard: Shard = WHOLE,
) -> WriteReport:
    """Store dialogues.

    Args:
        out: folder to write.
        make: each dialogue by its id.
        source: what they are from; JSON.
        config: everything that changes them; JSON.
        seed: of what is drawn in them.
        notes: what else is told of them; JSON.
        shard: the part to write.

    Raises:
        UserError: the folder is of another config or in use.
    """

    def made(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            dialogue = make[key]()
            counts = {
                "sessions": len(dialogue.sessions),
                "turns": sum(1 for _ in dialogue.turns()),
                "facts": len(dialogue.facts),
                "questions": len(dialogue.questions),
            }
            yield key, [dialogue_to_record(dialogue)], counts

    spec = DatasetSpec(
        DIALOGUES,
        DIALOGUE_LAYOUT,
        source=source,
        config=config or {},
        seed=seed,
        notes=notes or {},
    )
    return write_dataset(out, list(make), made, spec, shard)


def read_dialogues(folder: str | os.PathLike) -> Sequence[Dialogue]:
    """Stored dialogues, in the order of their ids.

    Raises:
        UserError: the dataset is missing, incomplete, cut short or changed.
    """
    records = read_dataset(folder, SPLIT, DIALOGUES)
    return sorted(map(dialogue_from_record, records), key=lambda dialogue: dialogue.id)


def write_demonstrations(
    out: str | os.PathLike,
    make: Mapping[str, Callable[[], Iterable[Demonstration]]],
    *,
    source: dict[str, Any],
    config: dict[str, Any],
    shard: Shard = WHOLE,
) -> WriteReport:
    """Store what a teacher shows of each dialogue.

    Args:
        out: folder to write.
        make: the demonstrations of a dialogue, by its id.
        source: which dialogues; JSON.
        config: everything that changes what is shown; JSON.
        shard: the part to write.

    Raises:
        UserError: the folder is of another config or in use, or there is nothing to show.
    """

    def made(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            yield key, [demonstration_to_record(shown) for shown in make[key]()], {}

    spec = DatasetSpec(DEMONSTRATIONS, DEMONSTRATION_LAYOUT, source=source, config=config)
    report = write_dataset(out, list(make), made, spec, shard)
    if report.status != "waiting" and not report.records:
        raise UserError(f"{out}: the dialogues hold nothing to demonstrate; give others")
    return report
