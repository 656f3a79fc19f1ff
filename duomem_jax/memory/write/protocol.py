"""Writers: from won episodes to the texts of their scripts."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from duomem_jax.records.episodes import Episode


class Writer(Protocol):
    """Abstracts won episodes to scripts."""

    @property
    def identity(self) -> str | dict[str, Any]:
        """What its scripts depend on, as JSON; part of a bank's config."""
        ...

    def __call__(self, episodes: Iterable[Episode]) -> Iterator[str]:
        """One text per won episode, in their order, "" for none; episodes are taken as needed."""
        ...


@dataclass(frozen=True)
class RuleWriter:
    """A writer that is a function without a model; its name identifies it."""

    identity: str
    write: Callable[[Iterable[Episode]], Iterator[str]]

    def __call__(self, episodes: Iterable[Episode]) -> Iterator[str]:
        """One text per episode."""
        return self.write(episodes)


def written(episodes: Iterable[Episode], write: Writer) -> Iterator[tuple[Episode, str]]:
    """Each episode with the script that was written from it, "" for a lost one."""
    # The writer may be ahead, since several episodes are under way in a model at once.
    episodes, ahead = itertools.tee(episodes)
    # Lost games never reach the writer: a script is made from what has worked.
    texts = write(e for e in ahead if _won(e))
    for episode in episodes:
        yield episode, next(texts).strip() if _won(episode) else ""


def _won(episode: Episode) -> bool:
    # A game that was won before the first move has nothing to abstract a script from.
    return episode.success and bool(episode.turns)
