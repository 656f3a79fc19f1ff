"""Conversations of two people over many sessions, and what is asked about them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from duomem_jax.records.store.features import Layout, structures

# LoCoMo's five categories of questions, by the names of its paper (arXiv 2402.17753).
MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP, ADVERSARIAL = (
    "multi-hop",
    "temporal",
    "open-domain",
    "single-hop",
    "adversarial",
)
# Of pictures, as MemLoRA-V parts them (arXiv 2512.04763): one has to look, or the caption tells.
SEEN, TOLD = "picture", "picture, told"
KINDS = (MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP, ADVERSARIAL, SEEN, TOLD)


@dataclass(frozen=True)
class Turn:
    """What one person says at once.

    Attributes:
        id: unique in its dialogue, without a space.
        speaker: who says it.
        text: what is said.
        caption: of a picture that is shared with it; "" for none.
        picture: SHA-256 of the picture's file (`records.pictures`); "" where there is none.
    """

    id: str
    speaker: str
    text: str
    caption: str = ""
    picture: str = ""

    @property
    def said(self) -> str:
        """Its text, with the caption of its picture."""
        shared = self.caption or ("a picture" if self.picture else "")
        return f"{self.text} [shares {shared}]" if shared else self.text


@dataclass(frozen=True)
class Session:
    """Turns that follow each other at one time.

    Attributes:
        at: when it begins: ISO 8601 in UTC, to the second (`2023-05-08T13:56:00Z`).
        turns: in order.
    """

    at: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Fact:
    """What a teacher noted of a dialogue.

    Attributes:
        text: a sentence that stands by itself.
        speaker: whom it is about.
        session: index of the session that it was said in.
        evidence: ids of the turns that say so.
        about: names what can have one value at a time, such as "Ann/job": a later fact about the
            same replaces this one. "" where the teacher does not say.
        ends: it says that what was true `about` this is true no more.
        value: what it says `about` this, in a form that two facts can be compared by; "" where the
            teacher does not say.
    """

    text: str
    speaker: str
    session: int
    evidence: tuple[str, ...]
    about: str = ""
    ends: bool = False
    value: str = ""


@dataclass(frozen=True)
class Question:
    """A question about a whole dialogue.

    Attributes:
        id: unique in its dialogue.
        text: what is asked.
        kind: one of `KINDS`.
        answer: the key; "" where the dialogue does not say (`ADVERSARIAL`).
        evidence: ids of the turns that the answer is in.
        corrected: the key as an audit corrected it; "" where it found no error.
        trap: the wrong answer that an adversarial question suggests.
    """

    id: str
    text: str
    kind: str
    answer: str
    evidence: tuple[str, ...]
    corrected: str = ""
    trap: str = ""


@dataclass(frozen=True)
class Dialogue:
    """A whole conversation.

    Attributes:
        id: unique among those that are used together.
        speakers: the two people.
        sessions: in the order of time.
        facts: what a teacher noted, in the order of the turns.
        questions: what is asked about it.
    """

    id: str
    speakers: tuple[str, str]
    sessions: tuple[Session, ...]
    facts: tuple[Fact, ...] = ()
    questions: tuple[Question, ...] = ()

    def turns(self) -> Iterator[tuple[Session, Turn]]:
        """Every turn with its session."""
        return ((session, turn) for session in self.sessions for turn in session.turns)

    def pictures(self) -> list[str]:
        """Names of the pictures that are shared, in the order of the turns."""
        return [turn.picture for _, turn in self.turns() if turn.picture]


# Ids of turns are one text, parted by spaces: lists within lists of structures are not stored.
DIALOGUE_LAYOUT: Layout = {
    "id": "text",
    "speakers": ["text"],
    "sessions": ["text"],
    "turns": [
        {
            "session": "int64",
            "id": "text",
            "speaker": "text",
            "text": "text",
            "caption": "text",
            "picture": "text",
        }
    ],
    "facts": [
        {
            "text": "text",
            "speaker": "text",
            "session": "int64",
            "evidence": "text",
            "about": "text",
            "ends": "bool",
            "value": "text",
        }
    ],
    "questions": [
        {
            "id": "text",
            "text": "text",
            "kind": "text",
            "answer": "text",
            "evidence": "text",
            "corrected": "text",
            "trap": "text",
        }
    ],
}


def dialogue_to_record(dialogue: Dialogue) -> dict[str, Any]:
    """Stored form."""
    turns = [
        {"session": number, **asdict(turn)}
        for number, session in enumerate(dialogue.sessions)
        for turn in session.turns
    ]
    return {
        "id": dialogue.id,
        "speakers": list(dialogue.speakers),
        "sessions": [session.at for session in dialogue.sessions],
        "turns": turns,
        "facts": [_joined(fact) for fact in dialogue.facts],
        "questions": [_joined(question) for question in dialogue.questions],
    }


def dialogue_from_record(record: dict[str, Any]) -> Dialogue:
    """Inverse of `dialogue_to_record`; takes the stored form (a list per field) too."""
    turns: list[list[Turn]] = [[] for _ in record["sessions"]]
    for row in structures(record["turns"]):
        turns[int(row.pop("session"))].append(Turn(**row))
    facts = [
        Fact(**(row | {"session": int(row["session"]), "ends": bool(row["ends"])} | _parted(row)))
        for row in structures(record["facts"])
    ]
    first, second = record["speakers"]
    return Dialogue(
        id=record["id"],
        speakers=(first, second),
        sessions=tuple(
            Session(at, tuple(said)) for at, said in zip(record["sessions"], turns, strict=True)
        ),
        facts=tuple(facts),
        questions=tuple(
            Question(**(row | _parted(row))) for row in structures(record["questions"])
        ),
    )


def _joined(item: Fact | Question) -> dict[str, Any]:
    return {f.name: getattr(item, f.name) for f in fields(item)} | {
        "evidence": " ".join(item.evidence)
    }


def _parted(row: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {"evidence": tuple(row["evidence"].split())}
