"""A student that plays under its teacher's eyes, and what was said token by token.

On some turns somebody else speaks in its place: the teacher, with a probability that is lowered
during training (Guided-OPD, arXiv 2606.15912), or the record of a won game that is followed up to
where the student takes over (the backward curriculum of TCOD, arXiv 2604.24005).
"""

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from duomem_jax.agents.policy import Move, Usage, sampling_seed
from duomem_jax.decode.generator import Generator
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import first_message, next_message, parse_action, reply
from duomem_jax.worlds.base import Task


class Author(IntEnum):
    """Who wrote a token."""

    WORLD = 0  # read, or replayed from a record
    STUDENT = 1
    TEACHER = 2


@dataclass
class Transcript:
    """A conversation as its players' tokens were, never tokenised again."""

    game_id: str
    first_turn: str  # content of the first user message
    tokens: list[int] = field(default_factory=list)
    authors: list[Author] = field(default_factory=list)

    def add(self, ids: Sequence[int], author: Author) -> None:
        """Append what somebody said."""
        self.tokens.extend(ids)
        self.authors.extend([author] * len(ids))


@dataclass
class _Seat:
    """A game in a slot."""

    transcript: Transcript
    chance: random.Random  # decides who speaks
    record: list[Move]  # replies to replay before anybody speaks
    unread: dict[Author, list[int]]  # ids that a player has not read yet
    turns: int = 0
    spoken: int = 0  # of them not replayed


class GuidedPolicy:
    """Plays with the student's `Generator`, in places with the teacher's.

    Attributes:
        finished: transcripts of ended games, in the order of their ends; the caller empties it.
        guidance: probability that the teacher speaks on a turn.
        depth: turns that are spoken before a game is broken off.
        records: replies to replay at the start of a game, by its id.
    """

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        student: Generator,
        teacher: Generator | None = None,
        *,
        system: str = "",
    ):
        """Set up without games.

        Args:
            name: who plays.
            tokenizer: of both models.
            student: as many rows as there will be slots.
            teacher: the same for the teacher; None where it never speaks.
            system: content of the system message; none when empty.
        """
        self.name, self.guidance, self.depth = name, 0.0, sys.maxsize
        self.finished: list[Transcript] = []
        self.records: Mapping[str, Sequence[Move]] = {}
        self._tokenizer, self._chat, self._system = tokenizer, chat_tokens(tokenizer), system
        self._players = {Author.STUDENT: student}
        if teacher is not None:
            self._players[Author.TEACHER] = teacher
        self._seats: dict[int, _Seat] = {}

    @property
    def setup_seconds(self) -> float:
        """Seconds spent on compiling."""
        return sum(player.compile_seconds for player in self._players.values())

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """See `Policy`."""
        own = sampling_seed(seed, task.id)
        record = list(self.records.get(task.id, ()))
        message = first_message(first_observation)
        unread: dict[Author, list[int]] = {author: [] for author in self._players}
        seat = _Seat(Transcript(task.id, message), random.Random(own), record, unread)
        self._seats[slot] = seat
        self._hear(seat, self._chat.first(message, self._system))
        for author, player in self._players.items():
            player.reset(slot, seed=(own + author) % 2**32)

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """See `Policy`."""
        moves = dict[int, Move | None]()
        turns: dict[Author, dict[int, list[int]]] = {author: {} for author in self._players}
        for slot, seen in observations.items():
            seat = self._seats[slot]
            if seat.turns:
                self._hear(seat, self._chat.next(next_message(seen)))
            seat.turns += 1
            if seat.record:
                move = seat.record.pop(0)
                self._hear(seat, self._chat.reply(reply(*move)))
                moves[slot] = move
                continue
            guided = Author.TEACHER in self._players and seat.chance.random() < self.guidance
            speaker = Author.TEACHER if guided else Author.STUDENT
            room = self._players[speaker].fits(slot, len(seat.unread[speaker]))
            if room and seat.spoken < self.depth:
                turns[speaker][slot] = seat.unread[speaker]
            else:
                moves[slot] = None
        for speaker, slots in turns.items():
            for slot, reply_ids in self._players[speaker].extend(slots).items():
                moves[slot] = self._speak(self._seats[slot], reply_ids, speaker)
        return moves

    def stop(self, slot: int) -> Usage:
        """See `Policy`."""
        transcript = self._seats.pop(slot).transcript
        self.finished.append(transcript)
        new = sum(author == Author.STUDENT for author in transcript.authors)
        return Usage(len(transcript.tokens) - new, new)

    def _hear(self, seat: _Seat, ids: list[int]) -> None:
        """What nobody here wrote."""
        seat.transcript.add(ids, Author.WORLD)
        for unread in seat.unread.values():
            unread.extend(ids)

    def _speak(self, seat: _Seat, ids: list[int], speaker: Author) -> Move:
        """A player's reply, which the other one has still to read."""
        seat.transcript.add(ids, speaker)
        seat.spoken += 1
        for author, unread in seat.unread.items():
            if author == speaker:
                unread.clear()  # its generator holds all of it
            else:
                unread.extend(ids)
        return parse_action(self._tokenizer.decode(ids, skip_special_tokens=True))
