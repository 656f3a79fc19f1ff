"""What a page shows, one frame after another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from duomem_jax.records.dialogues import Dialogue, Fact
from duomem_jax.records.episodes import Episode

Kind = Literal["memory", "seen", "thought", "action", "first", "second", "noted", "asked", "end"]


@dataclass(frozen=True)
class Block:
    """A piece of text with what it is.

    Attributes:
        kind: how it looks.
        head: a few words above it; "" for none.
        text: all of it, line breaks included.
    """

    kind: Kind
    head: str
    text: str


@dataclass(frozen=True)
class Frame:
    """What appears at once."""

    blocks: tuple[Block, ...]


def episode_frames(episode: Episode, memories: Mapping[str, str]) -> Iterator[Frame]:
    """A game: the memories that were shown, then turn after turn.

    Args:
        episode: the game.
        memories: texts by id, as far as they are known.
    """
    if episode.memory_ids:
        shown = (Block("memory", f"memory {i}", memories.get(i, "")) for i in episode.memory_ids)
        yield Frame(tuple(shown))
    for number, turn in enumerate(episode.turns, 1):
        blocks = [Block("seen", "", turn.observation)]
        if turn.thought:
            blocks.append(Block("thought", "thought", turn.thought))
        yield Frame((*blocks, Block("action", f"action {number}", turn.action)))
    ended = "won" if episode.success else "lost"
    yield Frame((Block("seen", "", episode.final_observation), Block("end", "", ended)))


def dialogue_frames(dialogue: Dialogue) -> Iterator[Frame]:
    """A conversation: turn after turn, what is noted as soon as it was said, then the questions."""
    noted: dict[str, list[Fact]] = {}
    for fact in dialogue.facts:
        # The last turn that says so: before it the fact was not known.
        noted.setdefault(fact.evidence[-1] if fact.evidence else "", []).append(fact)
    session = None
    for now, turn in dialogue.turns():
        head = turn.speaker if now is session else f"{turn.speaker}, {now.at}"
        kind: Kind = "first" if turn.speaker == dialogue.speakers[0] else "second"
        facts = (Block("noted", "noted", fact.text) for fact in noted.get(turn.id, ()))
        yield Frame((Block(kind, head, turn.said), *facts))
        session = now
    for question in dialogue.questions:
        key = question.answer or "(not said)"
        yield Frame((Block("asked", question.kind, f"{question.text}\n{key}"),))
