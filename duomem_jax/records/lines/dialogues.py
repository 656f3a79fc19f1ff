"""Conversations of others, one a line.

    {"id": "ann-ben", "speakers": ["Ann", "Ben"], "sessions": [
      {"at": "2024-05-01T12:00:00Z", "turns": [{"speaker": "Ann", "text": "I moved to Nice."}]}],
     "questions": [{"text": "Where does Ann live?", "kind": "single-hop", "answer": "Nice",
                    "evidence": ["D1:1"]}]}

Turn t of session s is `Ds:t` where it has no id of its own. It may share a picture: `picture` is
the path of its file.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.times import utc
from duomem_jax.records.dialogues import KINDS, Dialogue, Fact, Question, Session, Turn
from duomem_jax.records.lines.parts import picture_path
from duomem_jax.records.lines.read import read_lines
from duomem_jax.records.pictures import Gathered, PictureFolder

Look = Callable[[str, str], str]
"""The name of a picture, of its place and of the turn that shares it."""


@dataclass(frozen=True)
class TurnLine:
    """What one person says at once; see `dialogues.Turn`.

    Attributes:
        picture: path of its file, relative to the folder of the lines; "" for none.
    """

    speaker: str
    text: str
    id: str = ""
    caption: str = ""
    picture: str = ""


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


def read_dialogue_lines(path: Path, gathered: Gathered) -> list[Dialogue]:
    """Conversations of a file.

    Args:
        path: JSON Lines.
        gathered: looks at the pictures.

    Raises:
        UserError: a line is no conversation, names what is not in it, or a picture that cannot be
            read.
    """
    seen: dict[str, str] = {}
    found = []
    for where, line in read_lines(path, DialogueLine):
        if (first := seen.setdefault(line.id, where)) != where:
            raise UserError(f"{where}: has the id of {first}; give each conversation its own")
        found.append(_dialogue(line, where, functools.partial(_look, gathered, path.parent)))
    return found


def _dialogue(line: DialogueLine, where: str, look: Look) -> Dialogue:
    if len(line.speakers) != 2:
        raise UserError(f"{where}: speakers has {len(line.speakers)} names; give two")
    first, second = line.speakers
    sessions = tuple(_session(s, i, where, look) for i, s in enumerate(line.sessions, 1))
    dialogue = Dialogue(
        id=line.id,
        speakers=(first, second),
        sessions=sessions,
        facts=line.facts,
        questions=tuple(_question(q, i, where) for i, q in enumerate(line.questions, 1)),
    )
    _check(dialogue, where)
    return dialogue


def _session(line: SessionLine, number: int, where: str, look: Look) -> Session:
    place = f"{where}: sessions[{number - 1}]"
    turns = (
        Turn(
            id=turn.id or f"D{number}:{i}",
            speaker=turn.speaker,
            text=turn.text,
            caption=turn.caption,
            picture=look(turn.picture, f"{place}.turns[{i - 1}]") if turn.picture else "",
        )
        for i, turn in enumerate(line.turns, 1)
    )
    return Session(utc(line.at, f"{place}.at"), tuple(turns))


def _look(gathered: Gathered, folder: Path, picture: str, where: str) -> str:
    """The name of the picture in a file."""
    file = folder / picture_path(picture, where)
    try:
        return gathered.look(file)
    except UserError as e:
        raise UserError(f"{where} shows {e}") from None


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


def dialogue_line(dialogue: Dialogue, pictures: PictureFolder, folder: Path) -> dict:
    """A conversation as a line.

    Args:
        dialogue: the conversation.
        pictures: that it shares.
        folder: of the lines.

    Raises:
        UserError: a picture is not there, or has been changed.
    """
    line = asdict(dialogue)
    for turn in (turn for session in line["sessions"] for turn in session["turns"]):
        if turn["picture"]:
            file = pictures.path(turn["picture"]).resolve()
            turn["picture"] = os.path.relpath(file, folder.resolve())
    return line
