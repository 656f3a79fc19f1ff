"""Running a stage that writes a dataset: only what is missing, only this shard's part."""

import os
from collections.abc import Callable, Iterable, Sequence

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.store.spec import DatasetSpec, WriteReport
from duomem_jax.records.store.writer import ShardWriter

__all__ = ["DatasetSpec", "ShardWriter", "WriteReport", "write_dataset"]


def write_dataset(
    folder: str | os.PathLike,
    keys: Sequence[str],
    make: Callable[[list[str]], Iterable[tuple[str, list[dict], dict[str, int]]]],
    spec: DatasetSpec,
    shard: Shard = WHOLE,
) -> WriteReport:
    """Run one stage: make the units that this shard still lacks, then finish it.

    Args:
        keys: all unit keys of the split, of every shard; their sorted order decides the shard.
        make: given the missing keys, yields (key, records, counts) in any order.

    Raises:
        UserError: as `ShardWriter`; or `make` ended without yielding every key, in which case
            what it did yield is kept for the next run.
    """
    # Sorted before it is shared out, so that every process cuts the same parts.
    mine = shard.of(sorted(keys))
    with ShardWriter(folder, spec, shard) as writer:
        todo = [key for key in mine if key not in writer]
        # `make` may load a model or open a server: not where nothing is missing.
        if todo:
            for key, records, counts in make(todo):
                writer.add(key, records, counts)
        missing = [key for key in todo if key not in writer]
        if missing:
            raise UserError(
                f"{folder}: {len(missing)} of {len(mine)} units are missing, first "
                f"{missing[0]!r}; run the same command again to make them"
            )
        return writer.finish()
