"""One procedural memory."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from duomem_jax.records.episodes import Episode, episode_from_record, episode_to_record
from duomem_jax.records.store.features import Layout


@dataclass(frozen=True)
class Memory:
    """A script abstracted from a won episode, with that episode.

    Attributes:
        id: hash of the episode's name, its player and the script.
        key: task text; this is what is embedded.
        text: the script.
        uses, successes: episodes it was shown in, and how many of those were won.
        episode_json: the episode it came from; see `episode`.
    """

    id: str
    key: str
    text: str
    game_id: str
    task_type: str
    teacher: str
    uses: int
    successes: int
    episode_json: str

    @property
    def episode(self) -> Episode:
        """The episode it came from."""
        return episode_from_record(json.loads(self.episode_json))


MEMORY_LAYOUT: Layout = {f.name: "int64" if f.type is int else "text" for f in fields(Memory)}


def make_memory(episode: Episode, text: str) -> Memory:
    """Memory of a script written from `episode`, never shown yet."""
    name = "\0".join((episode.game_id, str(episode.seed), episode.player, text))
    return Memory(
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        key=episode.task,
        text=text,
        game_id=episode.game_id,
        task_type=episode.kind,
        teacher=episode.player,
        uses=0,
        successes=0,
        episode_json=json.dumps(episode_to_record(episode), ensure_ascii=False, sort_keys=True),
    )


def memory_to_record(memory: Memory) -> dict[str, Any]:
    """Stored form."""
    return asdict(memory)


def memory_from_record(record: dict[str, Any]) -> Memory:
    """Inverse of `memory_to_record`."""
    counts = {name: int(record[name]) for name in ("uses", "successes")}
    return Memory(**(record | counts))
