"""LoCoMo's conversations (arXiv 2402.17753), from the JSON file that its authors publish.

The file is CC BY-NC 4.0 and no part of this package: a path to `locomo10.json`, or to a list of
some of its conversations, is given. It has defects that every reader meets, and none is passed over
without a word: `Locomo.repairs` counts each kind.

Times of sessions have no zone. They are taken as UTC, so that every machine has equal dialogues.
"""

import hashlib
import logging
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from duomem_jax.base.days import MONTHS
from duomem_jax.base.errors import UserError
from duomem_jax.records import dialogues as d
from duomem_jax.worlds.dialogues.audit import AUDIT_FILE, Audit, read_audit
from duomem_jax.worlds.dialogues.node import Node, read_list

# The numbers of LoCoMo's own evaluation code. Tables of other projects mix 1, 3 and 4 up.
CATEGORIES = {
    1: d.MULTI_HOP,
    2: d.TEMPORAL,
    3: d.OPEN_DOMAIN,
    4: d.SINGLE_HOP,
    5: d.ADVERSARIAL,
}
# For notes on where results come from; other files are read just as well.
KNOWN_FILES = {
    "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4": (
        "locomo10.json of snap-research/LoCoMo"
    ),
}
# What `Locomo.repairs` counts.
RESPELT = "references to evidence that were respelt"
UNREADABLE = "references to evidence that name no turn"
ABSENT = "references to evidence whose turn is not there"
UNSCORED = "questions without evidence"
NUMBERS = "answers that are numbers"
BOTH = "adversarial questions with a key"
DATES = "dates without a session"
ESCAPES = "addresses of pictures with escaped letters"
BEYOND = "pictures beyond the first of a turn"

_MONTHS = tuple(month.lower() for month in MONTHS)
_DATE = re.compile(
    r"(\d{1,2}):(\d{2}) ?([ap]m) on (\d{1,2}) ([a-z]+),? (\d{4})", re.IGNORECASE | re.ASCII
)
# "D8:6; D9:17", "D:11:26" and "D30:05" occur; "D" alone says nothing.
_TURN = re.compile(r"D:?0*(\d+):0*(\d+)")
# Some addresses were taken out of JSON as they stood there.
_ESCAPE = re.compile(r"\\u00([2-7][0-9a-f])", re.IGNORECASE)
_REMEDY = "give locomo10.json of github.com/snap-research/LoCoMo, or a list of its conversations"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Locomo:
    """What a file holds.

    Attributes:
        dialogues: in the order of the file.
        sha256: of the file.
        origin: which published file it is; "" for another one, such as a part of it.
        repairs: how often each kind of defect was met.
        corrected: how many questions have a key that an audit corrected.
        links: of each dialogue, the addresses of the pictures that are shared, by turn.
    """

    dialogues: tuple[d.Dialogue, ...]
    sha256: str
    origin: str
    repairs: dict[str, int]
    corrected: int
    links: dict[str, dict[str, str]]


def read_locomo(path: str | Path, audit: str | Path | None = None) -> Locomo:
    """Read LoCoMo's file.

    Args:
        path: `locomo10.json`, or a list of some of its conversations.
        audit: `errors.json` of github.com/dial481/locomo-audit, which lists wrong keys. None:
            `audit_errors.json` beside the file, where there is one.

    Raises:
        UserError: a file is missing, or of another form; says which file and field.
    """
    path = Path(path)
    data, items = read_list(path, _REMEDY)
    if audit is None and (beside := path.with_name(AUDIT_FILE)).exists():
        audit = beside
    errors = read_audit(Path(audit)) if audit is not None else Audit()
    repairs: Counter[str] = Counter()
    links: dict[str, dict[str, str]] = {}
    dialogues = tuple(_dialogue(item, errors, links, repairs) for item in items)
    if len(ids := {dialogue.id for dialogue in dialogues}) < len(dialogues):
        raise UserError(f"{path}: a sample_id occurs twice among {sorted(ids)}; {_REMEDY}")
    corrected = sum(bool(q.corrected) for dialogue in dialogues for q in dialogue.questions)
    for what, count in sorted((+repairs).items()):
        _log.info("%s: %d %s", path, count, what)
    sha256 = hashlib.sha256(data).hexdigest()
    return Locomo(dialogues, sha256, KNOWN_FILES.get(sha256, ""), dict(+repairs), corrected, links)


def session_time(text: str) -> str:
    """ISO 8601 in UTC of a time such as "1:56 pm on 8 May, 2023".

    Raises:
        ValueError: it has another form.
    """
    # Not by `strptime`, whose names of months are those of the user's language.
    if not (found := _DATE.fullmatch(text.strip())):
        raise ValueError(f"{text!r} is no time like '1:56 pm on 8 May, 2023'")
    hour, minute, half, day, month, year = found.groups()
    if month.lower() not in _MONTHS or not 1 <= int(hour) <= 12:
        raise ValueError(f"{text!r} is no time like '1:56 pm on 8 May, 2023'")
    hours = int(hour) % 12 + (12 if half.lower() == "pm" else 0)
    month_number = _MONTHS.index(month.lower()) + 1
    moment = datetime(int(year), month_number, int(day), hours, int(minute))
    return f"{moment.isoformat(timespec='seconds')}Z"


def _dialogue(
    item: Node, errors: Audit, links: dict[str, dict[str, str]], repairs: Counter[str]
) -> d.Dialogue:
    id = item.text("sample_id")
    talk = item.node("conversation")
    speakers = (talk.text("speaker_a"), talk.text("speaker_b"))
    numbers = _session_numbers(talk, repairs)
    links[id] = {}
    sessions = tuple(_session(talk, number, links[id], repairs) for number in numbers)
    turns = [turn.id for session in sessions for turn in session.turns]
    if len(set(turns)) < len(turns):
        twice = next(turn for turn, count in Counter(turns).items() if count > 1)
        talk.refuse(f"has two turns with the dia_id {twice}")
    known = {turn: place for place, turn in enumerate(turns)}
    dialogue = d.Dialogue(
        id,
        speakers,
        sessions,
        facts=_facts(item, numbers, known, repairs),
        questions=tuple(
            _question(question, number, known, repairs)
            for number, question in enumerate(item.nodes("qa"))
        ),
    )
    return errors.correct(dialogue, repairs)


def _session_numbers(talk: Node, repairs: Counter[str]) -> list[int]:
    # Some conversations have dates of sessions that were never written: the lists of turns count.
    numbers = sorted(
        int(found[1])
        for key, value in talk.items()
        if (found := re.fullmatch(r"session_([0-9]{1,6})", key)) and value
    )
    if not numbers:
        talk.refuse("has no session_1")
    dates = {key for key, _ in talk.items() if re.fullmatch(r"session_[0-9]+_date_time", key)}
    repairs[DATES] += len(dates - {f"session_{number}_date_time" for number in numbers})
    return numbers


def _session(talk: Node, number: int, links: dict[str, str], repairs: Counter[str]) -> d.Session:
    key = f"session_{number}_date_time"
    try:
        at = session_time(talk.text(key))
    except ValueError as e:
        talk.refuse(f"{key} is wrong ({e})")
    turns = []
    for turn in talk.nodes(f"session_{number}"):
        id = turn.text("dia_id")
        # Ids are parted by spaces where they are stored.
        if not id or id.split() != [id]:
            turn.refuse(f"has the dia_id {id!r}, which has to be a word")
        caption = turn.text("blip_caption") if "blip_caption" in turn else ""
        turns.append(d.Turn(id, turn.text("speaker"), turn.text("text"), caption))
        if "img_url" in turn and (link := _link(turn, repairs)):
            links[id] = link
    return d.Session(at, tuple(turns))


def _link(turn: Node, repairs: Counter[str]) -> str:
    """The address of the picture that a turn shares; "" for none."""
    found = turn.items_of("img_url")
    if not all(isinstance(address, str) for address in found):
        turn.refuse("has a list as img_url that is not one of addresses")
    first = next(iter(found), "")
    address = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), first)
    repairs[ESCAPES] += address != first
    repairs[BEYOND] += len(found[1:])
    return address


def _facts(
    item: Node, numbers: list[int], known: dict[str, int], repairs: Counter[str]
) -> tuple[d.Fact, ...]:
    if "observation" not in item:
        return ()
    noted, facts = item.node("observation"), []
    for session, number in enumerate(numbers):
        key = f"session_{number}_observation"
        if key not in noted:
            continue
        by_speaker = noted.node(key)
        for speaker, _ in by_speaker.items():
            for i, pair in enumerate(by_speaker.items_of(speaker)):
                if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                    by_speaker.refuse(f"has no pair of a fact and its turns as {speaker}[{i}]")
                evidence = _evidence(pair[1], known, repairs)
                facts.append(d.Fact(pair[0], speaker, session, evidence))
    # Each speaker's are a list of their own; here they are in the order of what was said.
    first = [min((known[turn] for turn in fact.evidence), default=len(known)) for fact in facts]
    order = sorted(range(len(facts)), key=lambda i: (facts[i].session, first[i]))
    return tuple(facts[i] for i in order)


def _question(item: Node, number: int, known: dict[str, int], repairs: Counter[str]) -> d.Question:
    category = item.value("category")
    if type(category) is not int or category not in CATEGORIES:
        item.refuse(f"has the category {category!r}, not one of 1 to 5")
    kind = CATEGORIES[category]
    adversarial = kind == d.ADVERSARIAL
    answer = _answer(item, "answer", repairs) if "answer" in item or not adversarial else ""
    trap = _answer(item, "adversarial_answer", repairs) if "adversarial_answer" in item else ""
    repairs[BOTH] += bool(adversarial and answer)
    evidence = _evidence(item.value("evidence"), known, repairs)
    repairs[UNSCORED] += not evidence
    return d.Question(f"qa{number}", item.text("question"), kind, answer, evidence, trap=trap)


def _answer(item: Node, key: str, repairs: Counter[str]) -> str:
    value = item.value(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        repairs[NUMBERS] += 1
        return str(value)
    return item.text(key)


def _evidence(cited: object, known: dict[str, int], repairs: Counter[str]) -> tuple[str, ...]:
    """Ids of the turns that are cited and there, each once."""
    found: list[str] = []
    for one in cited if isinstance(cited, list) else [cited]:
        if isinstance(one, str) and one in known:
            found.append(one)
            continue
        ids = [f"D{session}:{turn}" for session, turn in _TURN.findall(str(one))]
        there = [id for id in ids if id in known]
        repairs[UNREADABLE] += not ids
        repairs[ABSENT] += len(ids) - len(there)
        repairs[RESPELT] += bool(there)
        found += there
    return tuple(dict.fromkeys(found))
