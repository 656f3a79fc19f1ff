"""What writes memories: from won episodes to the texts of their scripts."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from duomem_jax.records.episodes import Episode

Writer = Callable[[Iterable[Episode]], Iterator[str]]
"""One text per won episode, in their order, "" for none; takes episodes as it needs them."""


@dataclass(frozen=True)
class Writing:
    """How a served model writes memories."""

    prompt: str = "write_script"  # of the package, or a text file with $task and $trajectory
    temperature: float = 0.2  # MemP's (arXiv 2508.06433)
    max_tokens: int = 1024  # of a script; one that is cut off makes no memory


def written(episodes: Iterable[Episode], write: Writer) -> Iterator[tuple[Episode, str]]:
    """Each episode with the script that was written from it, "" for a lost one."""
    episodes, ahead = itertools.tee(episodes)
    texts = write(e for e in ahead if _won(e))
    for episode in episodes:
        yield episode, next(texts).strip() if _won(episode) else ""


def _won(episode: Episode) -> bool:
    return episode.success and bool(episode.turns)
