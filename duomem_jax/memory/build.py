"""The stage from won episodes to a bank of memories."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.vectors import write_vectors
from duomem_jax.memory.write.protocol import Writer, written
from duomem_jax.records.memories import (
    FORMAT,
    MEMORY_LAYOUT,
    Memory,
    make_memory,
    memory_to_record,
)
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import EPISODES, MEMORIES, SPLIT
from duomem_jax.records.store.write import DatasetSpec, ShardWriter, WriteReport, write_dataset


def build_memories(
    episodes_folder: str | os.PathLike,
    out: str | os.PathLike,
    embedder: Embedder,
    *,
    writer: Writer,
    shard: Shard = WHOLE,
) -> WriteReport:
    """Write one memory per won episode, then embed their keys.

    Resumes at the episode, and at the block of keys, where it stopped; finished, it does
    nothing. Whoever completes the last shard embeds.

    Args:
        writer: writes the scripts of won episodes; an empty one makes no memory. Its identity is
            part of the bank's config.

    Raises:
        UserError: bad input, no won episode, or an output folder of another config.
    """
    episodes = read_episodes(episodes_folder)

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        # Episodes are taken lazily and keys come back in order, so a unit is stored as soon as its
        # script is there.
        found = written((episodes[int(key)] for key in keys), writer)
        with Progress(len(keys), "memories", good="written") as progress:
            for key, (episode, text) in zip(keys, found, strict=True):
                records = [memory_to_record(make_memory(episode, text))] if text else []
                # Two counts, since they have different remedies: `finish_bank` names the right one.
                lost = int(not episode.success)
                yield key, records, {"failed": lost, "no_script": 1 - lost - len(records)}
                progress.add(bool(records))

    # By content, not path: a folder of the same name with other episodes is refused.
    source = {"episodes": content_hash(episodes_folder, EPISODES)}
    spec = _spec(source, {"writer": writer.identity})
    # Keys with leading zeros: units are sorted as text, and stay in the order of the episodes.
    report = write_dataset(out, [f"{i:08d}" for i in range(len(episodes))], make, spec, shard)
    return finish_bank(Path(out), embedder, report)


def finish_bank(folder: Path, embedder: Embedder, report: WriteReport) -> WriteReport:
    """Embed a bank whose records are complete.

    Raises:
        UserError: it has no memory, or the embedder fails or is another one than before.
    """
    # Only a complete bank is embedded: the matrix has one row for each key of all shards.
    if report.status == "waiting":
        return report
    records = read_dataset(folder, SPLIT, MEMORIES)
    if not len(records):
        if report.counts.get("no_script"):
            raise UserError(
                f"{folder}: no memory, since the writer gave no whole script of any of the "
                f"{report.counts['no_script']} won episodes; raise how.max_new or take another one"
            )
        raise UserError(f"{folder}: no memory, since no episode was won; play with a better player")
    # Also for a bank that was complete already: a kill may have come between the two.
    write_vectors(folder, [r["key"] for r in records], embedder)
    counts = report.counts
    return report.with_details(
        _some(counts.get("failed", 0), "episodes lost"),
        _some(counts.get("no_script", 0), "won episodes without a whole script"),
    )


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}" if count else ""


def write_bank(
    out: str | os.PathLike,
    memories: list[Memory],
    embedder: Embedder,
    *,
    source: dict[str, str],
    config: dict[str, Any],
) -> WriteReport:
    """Store memories that exist already, such as a maintained bank.

    Raises:
        UserError: as `build_memories`.
    """
    by_id = {m.id: m for m in memories}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            yield key, [memory_to_record(by_id[key])], {}

    spec = _spec(source, config)
    return finish_bank(Path(out), embedder, write_dataset(out, list(by_id), make, spec))


def claim_bank(out: str | os.PathLike, *, source: dict[str, str], config: dict[str, Any]) -> None:
    """Take a folder for `write_bank`, which may lie full of a writer's answers by then.

    Raises:
        UserError: it is another bank's, or holds other files.
    """
    # To open a writer is to leave the bank's identity in the folder. From then on it is refused by
    # what it says of itself, not because it holds files.
    with ShardWriter(out, _spec(source, config)):
        pass


def _spec(source: dict[str, str], config: dict[str, Any]) -> DatasetSpec:
    return DatasetSpec(MEMORIES, MEMORY_LAYOUT, SPLIT, source, config | {"format": FORMAT})
