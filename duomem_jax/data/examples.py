"""The stage from episodes to packed training rows."""

import os
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np

from duomem_jax.data.chat import episode_messages
from duomem_jax.data.episodes import Episode
from duomem_jax.data.manifest import content_hash
from duomem_jax.data.pack import Example, fit_to_length, pack, row_layout
from duomem_jax.data.play import read_episodes
from duomem_jax.data.store import DatasetSpec, WriteReport, write_dataset
from duomem_jax.data.tokens import chat_tokens, load_tokenizer, tokenizer_fingerprint

# Episodes tokenised and packed together. A killed writer repeats at most this many (seconds);
# smaller blocks would leave more rows half empty.
BLOCK = 1024

Rows = list[dict[str, np.ndarray]]


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
    loss_on: Literal["assistant", "all"] = "assistant",
    system: str = "",
    guidelines: Guidelines | None = None,
    shard: tuple[int, int] = (0, 1),
) -> WriteReport:
    """Tokenise, mask and pack the successful episodes of a split into rows of `length` tokens.

    Resumes where it stopped; finished, it does nothing. Longer episodes are cut after their
    last whole turn that fits and counted.

    Args:
        loss_on: "assistant" learns thoughts, actions and the end of turn; "all" every token.
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
            "loss_on": loss_on,
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
            rows, counts = _pack(chat_tokens(tokenizer).conversations(chats), length, loss_on)
            yield key, rows, {"episodes": len(block), "failed": len(block) - len(won)} | counts

    return write_dataset(out, [f"{b:08d}" for b in range(blocks)], make, spec, shard)


def _pack(examples: list[Example], length: int, loss_on: str) -> tuple[Rows, dict[str, int]]:
    """Rows and what became of the examples."""
    fitted = [fit_to_length(example, length) for example in examples]
    kept = [f for f in fitted if f is not None]
    cut = sum(f is not None and f is not e for f, e in zip(fitted, examples, strict=True))
    if loss_on == "all":
        kept = [(tokens, [1] * len(tokens)) for tokens, _ in kept]
    rows = list(pack(kept, length))
    return rows, {
        "examples": len(kept),
        "cut_to_fit": cut,
        "dropped_too_long": len(fitted) - len(kept),
        "tokens": sum(len(tokens) for tokens, _ in kept),
        "loss_tokens": sum(int(row["loss_mask"].sum()) for row in rows),
        "row_tokens": len(rows) * length,
    }
