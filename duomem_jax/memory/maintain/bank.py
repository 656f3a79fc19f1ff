"""Keep a bank good: count uses, drop what misleads, add what was newly won (MemP's update)."""

import os
from collections.abc import Iterable
from dataclasses import replace

from duomem_jax.memory.bank import MemoryBank, bank_content
from duomem_jax.memory.build import claim_bank, write_bank
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.maintain.usefulness import misled
from duomem_jax.memory.write.protocol import Writer, written
from duomem_jax.records.episodes import Episode
from duomem_jax.records.memories import Memory, make_memory
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import EPISODES
from duomem_jax.records.store.write import WriteReport


def credit(memories: Iterable[Memory], episodes: Iterable[Episode]) -> list[Memory]:
    """Add to each memory the episodes it was shown in and how many of those were won."""
    # Counts are added to those of earlier rounds: a bank may be maintained many times.
    uses: dict[str, int] = {}
    wins: dict[str, int] = {}
    for episode in episodes:
        for memory_id in set(episode.memory_ids):
            uses[memory_id] = uses.get(memory_id, 0) + 1
            wins[memory_id] = wins.get(memory_id, 0) + episode.success
    return [
        replace(m, uses=m.uses + uses.get(m.id, 0), successes=m.successes + wins.get(m.id, 0))
        for m in memories
    ]


def prune(memories: Iterable[Memory]) -> list[Memory]:
    """Drop memories that were shown `MIN_USES` times and won less than `MIN_RATE` of them."""
    return [memory for memory in memories if not misled(memory)]


def add(memories: Iterable[Memory], episodes: Iterable[Episode], writer: Writer) -> list[Memory]:
    """Append a memory for each won episode whose script is not in the bank under its task."""
    kept = list(memories)
    # The same script under another task is kept: keys are what retrieval finds memories by.
    known = {(m.key, m.text) for m in kept}
    for episode, text in written(episodes, writer):
        if text and (episode.task, text) not in known:
            known.add((episode.task, text))
            kept.append(make_memory(episode, text))
    return kept


def update_memories(
    bank_folder: str | os.PathLike,
    episodes_folder: str | os.PathLike,
    out: str | os.PathLike,
    embedder: Embedder,
    *,
    writer: Writer,
) -> WriteReport:
    """Write a new bank: the old one credited and pruned by new episodes, and their own memories.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    bank = MemoryBank.load(bank_folder, embedder)
    episodes = list(read_episodes(episodes_folder))
    source = {
        "memories": bank_content(bank_folder),
        "episodes": content_hash(episodes_folder, EPISODES),
    }
    config = {"writer": writer.identity}
    # Before the writer is asked: a folder that would be refused costs no answers, and the answers
    # themselves are stored in this folder.
    claim_bank(out, source=source, config=config)
    memories = add(prune(credit(bank.memories, episodes)), episodes, writer)
    return write_bank(out, memories, embedder, source=source, config=config)
