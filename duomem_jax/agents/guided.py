"""A student that plays under its teacher's eyes, and what was said token by token.

On some turns somebody else speaks in its place: the teacher, with a probability that is lowered
during training (Guided-OPD, arXiv 2606.15912), or the record of a won game that is followed up to
where the student takes over (the backward curriculum of TCOD, arXiv 2604.24005).
"""

import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from duomem_jax.agents.policy import GameUsage, Move
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.sample import derived_seed
from duomem_jax.decode.generator import Generator
from duomem_jax.records.chat import Chat, text_of
from duomem_jax.records.episodes import Episode
from duomem_jax.speak.conversations import read_reply
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import GameChat, parse_action
from duomem_jax.worlds.base import Task, World


# The numbers become the loss mask of packed rows: above 0 a token is learnt, and a teacher's is
# told from a student's by its 2.
class Author(IntEnum):
    """Who wrote a token."""

    WORLD = 0  # read, or replayed from a record
    STUDENT = 1
    TEACHER = 2


@dataclass(frozen=True)
class Players:
    """Who plays, from the first step of training to the last.

    Attributes:
        tokenizer: of both models.
        student: as many rows as there are games at once.
        teacher: the same for the teacher; None where it never speaks.
        system: content of the system message; none when empty.
    """

    tokenizer: Any
    student: Generator
    teacher: Generator | None = None
    system: str = ""


@dataclass(frozen=True)
class Guidance:
    """How some games are played.

    Attributes:
        share: probability that the teacher speaks on a turn.
        depth: turns that are spoken before a game is broken off.
        records: replies to replay at the start of a game, by its id.
    """

    share: float = 0.0
    depth: int = sys.maxsize
    records: Mapping[str, Sequence[Move]] = field(default_factory=dict)


@dataclass
class Transcript:
    """A conversation as its players' tokens were, never tokenised again.

    Attributes:
        prompt: its messages before the first reply.
        tokens: all of it.
        authors: who wrote each token.
    """

    prompt: Chat = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    authors: list[Author] = field(default_factory=list)

    def add(self, ids: Sequence[int], author: Author) -> None:
        """Append what somebody said."""
        self.tokens.extend(ids)
        self.authors.extend([author] * len(ids))

    def with_guidelines(self, guidelines: str, tokenizer: Any) -> "Transcript":
        """The same conversation as it reads with guidelines before its first observation."""
        # Only the prompt is rendered again. The rest are the tokens as written: decoded and
        # tokenised once more, a reply may come out as other tokens.
        chat, (*before, first) = chat_tokens(tokenizer), self.prompt
        game = GameChat(system=text_of(before[0]) if before else "", guidelines=guidelines)
        game.see(text_of(first))
        shown, replaced = Transcript(game.messages), len(chat.since(self.prompt))
        shown.add(chat.since(game.messages), Author.WORLD)
        shown.tokens += self.tokens[replaced:]
        shown.authors += self.authors[replaced:]
        return shown


@dataclass(frozen=True)
class Rollout:
    """A played game and what was said in it."""

    episode: Episode
    transcript: Transcript


def play_guided(
    players: Players,
    world: World,
    tasks: Iterable[Task],
    how: Guidance,
    *,
    slots: int,
    max_steps: int,
    seed: int,
) -> list[Rollout]:
    """Play every game once, in the order in which they end.

    Args:
        players: who plays; all rows of their generators are free.
        world: where the tasks are from.
        tasks: what is played.
        how: who speaks when.
        slots: games played at once.
        max_steps: commands after which a game is lost.
        seed: of everything that is drawn.
    """
    policy = GuidedPolicy(players, how)
    played = list(play_games(world, tasks, policy, slots=slots, max_steps=max_steps, seed=seed))
    # In one order: `play_games` stops a slot just before it yields the game that was in it.
    transcripts = zip(played, policy.finished, strict=True)
    return [Rollout(game.episode, transcript) for game, transcript in transcripts]


@dataclass
class _Seat:
    """A game in a slot."""

    chat: GameChat
    chance: random.Random  # decides who speaks
    record: list[Move]  # replies to replay before anybody speaks
    unread: dict[Author, list[int]]  # ids that a player has not read yet
    transcript: Transcript = field(default_factory=Transcript)
    held: int = 0  # messages of the chat that are in the transcript
    spoken: int = 0  # turns that were not replayed


class GuidedPolicy:
    """Plays with the student's `Generator`, in places with the teacher's.

    Attributes:
        finished: transcripts of ended games, in the order of their ends.
    """

    name = "student"

    def __init__(self, players: Players, how: Guidance):
        """Set up without games."""
        self.finished: list[Transcript] = []
        self._players, self._how = players, how
        self._chat = chat_tokens(players.tokenizer)
        self._speakers = {Author.STUDENT: players.student}
        if players.teacher is not None:
            self._speakers[Author.TEACHER] = players.teacher
        self._seats: dict[int, _Seat] = {}

    @property
    def slots(self) -> int:
        """How many games at once."""
        return self._players.student.slots

    @property
    def setup_seconds(self) -> float:
        """Seconds spent on compiling."""
        return sum(speaker.compile_seconds for speaker in self._speakers.values())

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """Begin a game for both players."""
        # Neither slots nor neighbours may change who speaks or what is drawn.
        own = derived_seed(seed, task.id)
        record = list(self._how.records.get(task.id, ()))
        unread: dict[Author, list[int]] = {author: [] for author in self._speakers}
        chat = GameChat(system=self._players.system)
        self._seats[slot] = _Seat(chat, random.Random(own), record, unread)
        for author, speaker in self._speakers.items():
            # Two seeds, or both players would draw alike; a row keeps its seed as a uint32.
            speaker.reset(slot, seed=(own + author) % 2**32)

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """Replay a move, or let one of the players speak, in each named slot."""
        moves = dict[int, Move | None]()
        # Collected first, so that each model answers all of its games in one call.
        turns: dict[Author, dict[int, list[int]]] = {author: {} for author in self._speakers}
        for slot, seen in observations.items():
            seat = self._seats[slot]
            seat.chat.see(seen)
            # Set on the first turn, as a copy: the chat's own list goes on growing.
            seat.transcript.prompt = seat.transcript.prompt or list(seat.chat.messages)
            # Heard after the recorded reply is said: both are the world's, and carry no loss.
            if seat.record:
                moves[slot] = move = seat.record.pop(0)
                seat.chat.say(*move)
                self._hear(seat)
                continue
            self._hear(seat)
            author = self._next_author(seat)
            unread = seat.unread[author]
            # Beyond the depth a game ends as one does whose context is full.
            if seat.spoken < self._how.depth and self._speakers[author].fits(slot, len(unread)):
                turns[author][slot] = unread
            else:
                moves[slot] = None
        for author, slots in turns.items():
            for slot, ids in self._speakers[author].extend(slots).items():
                moves[slot] = self._speak(self._seats[slot], ids, author)
        return moves

    def stop(self, slot: int) -> GameUsage:
        """End a game and keep its transcript."""
        transcript = self._seats.pop(slot).transcript
        self.finished.append(transcript)
        # What the teacher said counts as read: the student is charged for its own tokens.
        new = sum(author == Author.STUDENT for author in transcript.authors)
        return GameUsage(len(transcript.tokens) - new, new)

    def _next_author(self, seat: _Seat) -> Author:
        guided = Author.TEACHER in self._speakers and seat.chance.random() < self._how.share
        return Author.TEACHER if guided else Author.STUDENT

    def _hear(self, seat: _Seat) -> None:
        """Take in the messages that nobody here wrote."""
        # Every player is behind by these ids until it is its turn to speak.
        ids = self._chat.since(seat.chat.messages, seat.held)
        seat.held = len(seat.chat.messages)
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
        max_new = self._speakers[speaker].max_new
        # 0: nobody asks this reply for its token counts, which the transcript has.
        reply = read_reply(self._players.tokenizer, ids, 0, max_new)
        move = parse_action(reply.text, cut=reply.cut)
        # The chat has the move as it was parsed. It counts as held, so that it is never rendered:
        # the transcript has the ids that were written, whatever form the reply had.
        seat.chat.say(*move)
        seat.held = len(seat.chat.messages)
        return move
