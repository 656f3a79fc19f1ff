"""What has been said so far, turn by turn."""

from dataclasses import dataclass, field

from duomem_jax.records.dialogues import Fact, Session, Turn


@dataclass
class _Open:
    """A turn that more may be added to."""

    id: str
    speaker: str
    parts: list[str]
    caption: str = ""
    topics: int = 0


@dataclass
class Transcript:
    """A conversation while it grows; who speaks twice in a row says it in one turn.

    Attributes:
        facts: the teacher's notes, in order.
    """

    facts: list[Fact] = field(default_factory=list)
    _starts: list[str] = field(default_factory=list)
    _sessions: list[list[_Open]] = field(default_factory=list)

    def open(self, at: str) -> None:
        """Begin a session."""
        self._starts.append(at)
        self._sessions.append([])

    @property
    def session(self) -> int:
        """Index of the session that is open."""
        return len(self._sessions) - 1

    @property
    def length(self) -> int:
        """Turns of the session that is open."""
        return len(self._sessions[-1])

    @property
    def last_speaker(self) -> str:
        """Who spoke last; "" at the beginning of a session."""
        turns = self._sessions[-1]
        return turns[-1].speaker if turns else ""

    @property
    def topics(self) -> int:
        """How many topics were begun in the turn that was said last."""
        return self._sessions[-1][-1].topics

    def say(self, speaker: str, text: str, caption: str = "", topic: bool = False) -> str:
        """Add to the conversation; gives the id of the turn that it is part of."""
        turns = self._sessions[-1]
        if not turns or turns[-1].speaker != speaker:
            turns.append(_Open(f"D{len(self._sessions)}:{len(turns) + 1}", speaker, []))
        turn = turns[-1]
        turn.parts.append(text)
        turn.caption = turn.caption or caption
        turn.topics += topic
        return turn.id

    def note(self, fact: Fact) -> None:
        """Add a fact, where what was said last says it."""
        self.facts.append(fact)

    def sessions(self) -> tuple[Session, ...]:
        """All that was said."""
        return tuple(
            Session(at, tuple(Turn(t.id, t.speaker, " ".join(t.parts), t.caption) for t in turns))
            for at, turns in zip(self._starts, self._sessions, strict=True)
        )
