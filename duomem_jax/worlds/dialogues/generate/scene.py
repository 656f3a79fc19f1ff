"""One session while it is being spoken: who opens a topic, how it is told, how the other reacts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from duomem_jax.base.draw import Draw
from duomem_jax.records.dialogues import Fact
from duomem_jax.worlds.dialogues.generate.cast import Cast, Person, Row
from duomem_jax.worlds.dialogues.generate.dates import Day, When
from duomem_jax.worlds.dialogues.generate.timeline import Event, Timeline
from duomem_jax.worlds.dialogues.generate.transcript import Transcript
from duomem_jax.worlds.dialogues.generate.wording import capital, forms

T = TypeVar("T")
Words = Mapping[str, str]
# Moods of a reaction.
GOOD, NEUTRAL, SAD, FUTURE = "good", "neutral", "sad", "future"
KNOWN, REMEMBERED = "known", "remembered"


@dataclass
class Scene:
    """What the moves of a dialogue work on.

    Attributes:
        draw: all choices.
        tables: one side of the split.
        today: the day of the session.
        before: the day of the session before it; some weeks ago for the first.
        unreal: (person, slot, value, turn) of what was said without being true.
    """

    draw: Draw
    tables: dict[str, Any]
    cast: Cast
    talk: Transcript = field(default_factory=Transcript)
    timeline: Timeline = field(default_factory=Timeline)
    today: Day = Day.min
    before: Day = Day.min
    unreal: list[tuple[Person, str, str, str]] = field(default_factory=list)
    _queues: dict[int, list[Any]] = field(default_factory=dict)
    _thankful: str = ""

    def begin(self, today: Day, at: str) -> None:
        """Open a session."""
        self.today, self._thankful = today, ""
        self.talk.open(at)

    def fresh(self, items: Sequence[T]) -> T:
        """One of the items, none again before all have had their turn."""
        queue = self._queues.setdefault(id(items), [])
        if not queue:
            queue.extend(self.draw.shuffled(items))
        return queue.pop()

    def listener(self, speaker: Person) -> Person:
        """The other of the two."""
        first, second = self.cast.speakers
        return second if speaker is first else first

    def teller(self, person: Person) -> Person:
        """Who tells of somebody: a speaker of themselves."""
        return next(s for s in self.cast.speakers if s.name == person.teller)

    def say(self, speaker: Person, text: str, words: Words, caption: str = "") -> str:
        """Say a template; gives the id of the turn."""
        return self.talk.say(speaker.name, capital(text.format(**words)), caption)

    def tell(
        self,
        speaker: Person,
        said: Sequence[str],
        pairs: Sequence[Sequence[str]],
        words: Words,
        colour: str,
        caption: str = "",
    ) -> tuple[str, ...]:
        """Tell something, at times because the other asks for it.

        Args:
            said: ways to tell it in one turn.
            pairs: a question and its answer each.
            colour: which sort of remark may be added to it; "" for none.

        Returns:
            The ids of the turns that tell it.
        """
        listener = self.listener(speaker)
        if pairs and (not said or self._asked(speaker)):
            ask, reply = self.fresh(pairs)
            self._open(listener, "own_question")
            turns: tuple[str, ...] = (
                self.say(listener, ask, words),
                self.say(speaker, reply, words),
            )
            turns = turns[1:] if _stands_alone(ask, reply) else turns
        else:
            self._open(speaker, "own_news")
            turns = (self.say(speaker, self.fresh(said), words, caption),)
        if colour and self.draw.chance(0.5):
            self.say(speaker, self.fresh(self.tables["chat"]["colour"][colour]), {})
        return turns

    def react(self, speaker: Person, mood: str, asks: bool = True) -> None:
        """The other says something on what `speaker` told."""
        chat, listener = self.tables["chat"], self.listener(speaker)
        self.say(listener, self.fresh(chat["react"][mood]), {})
        if self.draw.chance(0.5):
            self.say(listener, self.fresh(chat["more"][mood]), {})
        self._thankful = speaker.name if mood not in (NEUTRAL, KNOWN, REMEMBERED) else ""
        # Nobody goes on to the next topic right after bad news.
        if asks and mood in chat["follow"] and self.draw.chance(0.8 if mood == SAD else 0.25):
            ask, reply = self.fresh(chat["follow"][mood])
            self.say(listener, ask, {})
            self.say(speaker, reply, {})
            self._thankful = ""

    def exchange(self, first: Person, turns: Sequence[str], words: Words) -> list[str]:
        """Say turns by turns; gives their ids."""
        self._open(first, "aside")
        people = (first, self.listener(first))
        return [self.say(people[i % 2], text, words) for i, text in enumerate(turns)]

    def happened(
        self, move: str, person: Person, about: str, row: Row, turns: tuple[str, ...], **rest: Any
    ) -> Event:
        """Put it on the timeline."""
        slot, when, old = about.split("/")[1], rest.get("when"), rest.get("old", "")
        event = Event(move, person, slot, about, row, old, when, self.talk.session, turns)
        self.timeline.add(event)
        return event

    def note(self, event: Event, template: str, words: Words, value: str = "") -> None:
        """Write down what an event says, as the teacher does."""
        text = capital(template.format(**words))
        self.talk.note(
            Fact(
                text,
                event.person.teller,
                event.session,
                tuple(dict.fromkeys(event.turns)),
                event.about,
                event.over,
                value or event.value,
            )
        )

    def _asked(self, speaker: Person) -> bool:
        """Whether the other asks first."""
        # A turn that has opened two topics already is not to open a third.
        if self.talk.length and self.talk.topics > 1:
            return self.talk.last_speaker == speaker.name
        return self.draw.chance(0.4)

    def _open(self, speaker: Person, kind: str) -> None:
        """Come to another topic."""
        if self.talk.last_speaker == speaker.name:
            # Not after the greeting: there is nothing to turn away from yet.
            if self.talk.length > 2 and self.draw.chance(0.7):
                link = self.fresh(self.tables["chat"][kind])
                self.talk.say(speaker.name, link, topic=True)
        elif self._thankful == speaker.name and self.draw.chance(0.5):
            self.talk.say(speaker.name, self.fresh(self.tables["chat"]["thanks"]), topic=True)
        self._thankful = ""


def _stands_alone(ask: str, reply: str) -> bool:
    """Whether a reply says what it says without the question: no "Yes, in March"."""
    whole = "{past}" in reply or "{base}" in reply
    return "{" not in ask and (whole or len(re.sub(r"{\w+}", "", reply).split()) > 4)


def words_of(person: Person, row: Row, old: str = "", when: When | None = None) -> dict[str, str]:
    """What templates need to tell of somebody's value."""
    words = {"my": "my"} | dict(person.words)
    for name, value in row.items():
        words |= forms(name, value)
    if old:
        words |= forms("old", old)
    if when is not None:
        words |= {"when": when.said, "When": capital(when.said), "on": when.on, "key": when.key}
    return words
