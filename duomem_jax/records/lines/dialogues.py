"""Conversations of others, one a line.

    {"id": "ann-ben", "speakers": ["Ann", "Ben"], "sessions": [
      {"at": "2024-05-01T12:00:00Z", "turns": [{"speaker": "Ann", "text": "I moved to Nice."}]}],
     "questions": [{"text": "Where does Ann live?", "kind": "single-hop", "answer": "Nice",
                    "evidence": ["D1:1"]}]}

Turn t of session s is `Ds:t` where it has no id of its own.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.times import utc
from duomem_jax.records.dialogues import KINDS, Dialogue, Fact, Question, Session, Turn
from duomem_jax.records.lines.read import read_lines


@dataclass(frozen=True)
class TurnLine:
    """What one person says at once; see `dialogues.Turn`."""

    speaker: str
    text: str
    id: str = ""
    caption: str = ""


@dataclass(frozen=True)
class SessionLine:
    """Turns at one time.

    Attributes:
        at: when it begins, ISO 8601 with a zone.
        turns: in order.
    """

    at: str
    turns: tuple[TurnLine, ...]


@dataclass(frozen=True)
class QuestionLine:
    """A question; see `dialogues.Question`."""

    text: str
    kind: str
    answer: str = ""
    evidence: tuple[str, ...] = ()
    id: str = ""
    corrected: str = ""
    trap: str = ""


@dataclass(frozen=True)
class DialogueLine:
    """A whole conversation; see `dialogues.Dialogue`."""

    id: str
    speakers: tuple[str, ...]
    sessions: tuple[SessionLine, ...]
    facts: tuple[Fact, ...] = ()
    questions: tuple[QuestionLine, ...] = ()


def read_dialogue_lines(path: Path) -> list[Dialogue]:
    """Conversations of a file.

    Raises:
        UserError: a line is no conversation, or names what is not in it.
    """
    seen: dict[str, str] = {}
    found = []
    for where, line in read_lines(path, DialogueLine):
        if (first := seen.setdefault(line.id, where)) != where:
            raise UserError(f"{where}: has the id of {first}; give each conversation its own")
        found.append(_dialogue(line, where))
    return found


def _dialogue(line: DialogueLine, where: str) -> Dialogue:
    if len(line.speakers) != 2:
        raise UserError(f"{where}: speakers has {len(line.speakers)} names; give two")
    first, second = line.speakers
    sessions = tuple(_session(s, i, where) for i, s in enumerate(line.sessions, 1))
    dialogue = Dialogue(
        id=line.id,
        speakers=(first, second),
        sessions=sessions,
        facts=line.facts,
        questions=tuple(_question(q, i, where) for i, q in enumerate(line.questions, 1)),
    )
    _check(dialogue, where)
    return dialogue


def _session(line: SessionLine, number: int, where: str) -> Session:
    turns = (
        Turn(turn.id or f"D{number}:{i}", turn.speaker, turn.text, turn.caption)
        for i, turn in enumerate(line.turns, 1)
    )
    return Session(utc(line.at, f"{where}: sessions[{number - 1}].at"), tuple(turns))


def _question(line: QuestionLine, number: int, where: str) -> Question:
    if line.kind not in KINDS:
        raise UserError(
            f"{where}: questions[{number - 1}].kind is {line.kind!r}; give one of "
            f"{', '.join(KINDS)}"
        )
    return Question(**asdict(line) | {"id": line.id or str(number), "evidence": line.evidence})


def _check(dialogue: Dialogue, where: str) -> None:
    """Refuse what names a person, a turn or a session that is not there."""
    ids = [turn.id for _, turn in dialogue.turns()]
    for name in ids:
        if " " in name or ids.count(name) > 1:
            raise UserError(f"{where}: turn id {name!r} has a space or occurs twice; change it")
    for _, turn in dialogue.turns():
        if turn.speaker not in dialogue.speakers:
            raise UserError(
                f"{where}: turn {turn.id} is by {turn.speaker!r}, and the speakers are "
                f"{' and '.join(dialogue.speakers)}; correct one of them"
            )
    cited = {f"facts[{i}]": fact.evidence for i, fact in enumerate(dialogue.facts)}
    cited |= {f"questions[{i}]": asked.evidence for i, asked in enumerate(dialogue.questions)}
    for what, evidence in cited.items():
        if unknown := sorted({*evidence} - {*ids}):
            raise UserError(
                f"{where}: {what}.evidence names {unknown[0]}, which no turn is called; correct it"
            )
    for number, fact in enumerate(dialogue.facts):
        if not 0 <= fact.session < len(dialogue.sessions):
            raise UserError(
                f"{where}: facts[{number}].session is {fact.session}; there are "
                f"{len(dialogue.sessions)}, counted from 0"
            )


def dialogue_line(dialogue: Dialogue) -> dict:
    """A conversation as a line."""
    return asdict(dialogue)
