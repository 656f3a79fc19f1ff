"""The stage from episodes to packed training rows."""

import os
from collections.abc import Iterator
from typing import Any, Protocol

from duomem_jax.data.chat import episode_messages
from duomem_jax.data.episodes import Episode
from duomem_jax.data.manifest import content_hash
from duomem_jax.data.pack import Rows, pack_examples, row_layout
from duomem_jax.data.play import read_episodes
from duomem_jax.data.store import DatasetSpec, WriteReport, write_dataset
from duomem_jax.data.tokens import chat_tokens, load_tokenizer, tokenizer_fingerprint

# Episodes tokenised and packed together. A killed writer repeats at most this many (seconds);
# smaller blocks would leave more rows half empty.
BLOCK = 1024


class Guidelines(Protocol):
    """What stands before an episode's first observation; `memory.guidelines` has the real one."""

    @property
    def config(self) -> dict[str, Any]:
        """JSON identity, part of the dataset's config."""

    def __call__(self, episodes: list[Episode]) -> list[str]:
        """One text per episode, "" for none; must not depend on the grouping of episodes."""


def build_examples(
    episodes_folder: str | os.PathLike,
    tokenizer_folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    length: int,
    split: str = "train",
    system: str = "",
    guidelines: Guidelines | None = None,
    shard: tuple[int, int] = (0, 1),
) -> WriteReport:
    """Tokenise, mask and pack the successful episodes of a split into rows of `length` tokens.

    The loss covers thoughts, actions and the end of turn, nothing that the student only reads.
    Resumes where it stopped; finished, it does nothing. Longer episodes are cut after their
    last whole turn that fits and counted.

    Args:
        guidelines: memories to train with; None for none.
        shard: (i, n): write part i of n, in parallel with others.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    episodes = read_episodes(episodes_folder, split)
    tokenizer = load_tokenizer(tokenizer_folder)
    spec = DatasetSpec(
        name="examples",
        layout=row_layout(length),
        split=split,
        source={"episodes": content_hash(episodes_folder)},
        config={
            "length": length,
            "system": system,
            "tokenizer": tokenizer_fingerprint(tokenizer),
            "guidelines": guidelines.config if guidelines else None,
        },
    )

    blocks = -(-len(episodes) // BLOCK)

    def make(keys: list[str]) -> Iterator[tuple[str, Rows, dict[str, int]]]:
        for key in keys:
            # Strided, since episodes lie in the order of their kinds and a mixture packs better.
            block = episodes[int(key) :: blocks]
            won = [e for e in block if e.success and e.turns]
            texts = guidelines(won) if guidelines else [""] * len(won)
            chats = [
                episode_messages(e, system=system, guidelines=g)
                for e, g in zip(won, texts, strict=True)
            ]
            rows, counts = pack_examples(chat_tokens(tokenizer).conversations(chats), length)
            yield key, rows, {"episodes": len(block), "failed": len(block) - len(won)} | counts

    return write_dataset(out, [f"{b:08d}" for b in range(blocks)], make, spec, shard)
