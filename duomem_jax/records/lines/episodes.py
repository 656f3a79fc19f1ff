"""Episodes of other agents, one a line.

{"id": "guess-1", "task": "find the number", "turns": [
  {"observation": "I think of a number.", "action": "5", "thought": "The middle."}],
 "final_observation": "Right.", "score": 1.0}
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from duomem_jax.base.errors import UserError
from duomem_jax.records.episodes import FULL_SCORE, Episode, Turn, episode_key
from duomem_jax.records.lines.read import read_lines


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        observation: what was seen before acting; of the first step the whole start, task included.
        action: the command.
        thought: said before it.
        weight: 0: the reply is read and not learnt.
    """

    observation: str
    action: str
    thought: str = ""
    weight: Literal[0, 1] = 1


@dataclass(frozen=True)
class EpisodeLine:
    """One played task.

    Attributes:
        id: of the task; with `seed` unique in the file.
        task: in words; memories are looked up by it.
        turns: in order.
        final_observation: what the last action led to.
        score: at the end, from 0 to 1, which is won.
        kind: what tables group results by.
        player: who played it.
        seed: of the player's choices.
    """

    id: str
    task: str
    turns: tuple[Step, ...]
    final_observation: str = ""
    score: float = FULL_SCORE
    kind: str = "other"
    player: str = "imported"
    seed: int = 0


def read_episode_lines(path: Path, world: str) -> list[Episode]:
    """Episodes of a file.

    Args:
        path: JSON Lines.
        world: where they were played, one of `worlds.WORLDS`.

    Raises:
        UserError: a line is no episode, or two have one id and seed.
    """
    seen: dict[str, str] = {}
    episodes = []
    for where, line in read_lines(path, EpisodeLine):
        if not line.turns:
            raise UserError(f"{where}: turns is empty; omit the line")
        if not 0 <= line.score <= FULL_SCORE:
            raise UserError(f"{where}: score is {line.score!r}; give a number from 0 to 1")
        first = seen.setdefault(episode_key(line.id, line.seed), where)
        if first != where:
            raise UserError(f"{where}: has the id and seed of {first}; give each episode its own")
        episodes.append(_episode(line, world))
    return episodes


def _episode(line: EpisodeLine, world: str) -> Episode:
    return Episode(
        game_id=line.id,
        task=line.task,
        kind=line.kind,
        turns=tuple(Turn(s.observation, s.thought, s.action, s.weight > 0) for s in line.turns),
        final_observation=line.final_observation,
        score=float(line.score),
        player=line.player,
        seed=line.seed,
        world=world,
        version="imported",
    )


def episode_line(episode: Episode) -> dict:
    """An episode as a line."""
    line = EpisodeLine(
        id=episode.game_id,
        task=episode.task,
        turns=tuple(
            Step(t.observation, t.action, t.thought, 1 if t.learnt else 0) for t in episode.turns
        ),
        final_observation=episode.final_observation,
        score=episode.score,
        kind=episode.kind,
        player=episode.player,
        seed=episode.seed,
    )
    return asdict(line)
