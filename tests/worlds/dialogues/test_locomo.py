"""LoCoMo's file: its defects, what is read of it, and what refuses it. The text here is made up."""

import copy
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from made_up_locomo import CONVERSATION, ERRORS

from duomem_jax.base.errors import UserError
from duomem_jax.records import dialogues as d
from duomem_jax.records.dialogues import dialogue_from_record, dialogue_to_record
from duomem_jax.worlds.dialogues import audit, locomo
from duomem_jax.worlds.dialogues.locomo import read_locomo, session_time

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def write(tmp_path):
    def write(conversation, errors=None):
        (tmp_path / "locomo.json").write_text(json.dumps([conversation]))
        if errors is not None:
            (tmp_path / "audit_errors.json").write_text(json.dumps(errors))
        return tmp_path / "locomo.json"

    return write


def test_a_conversation_is_read(write):
    (dialogue,) = read_locomo(write(CONVERSATION)).dialogues
    assert dialogue.speakers == ("Ann", "Ben")
    assert [s.at for s in dialogue.sessions] == ["2023-05-08T13:56:00Z", "2023-06-01T00:05:00Z"]
    assert dialogue.sessions[0].turns[0] == d.Turn("D2:1", "Ann", "Look!", "a red bicycle")
    assert dialogue.facts == (
        d.Fact("Ann has a bicycle.", "Ann", 0, ("D2:1", "D2:2")),
        d.Fact("Ben sold his bicycle.", "Ben", 0, ("D2:2",)),
        d.Fact("Ann lives in Oslo.", "Ann", 1, ("D10:5",)),
    )
    assert dialogue.questions == (
        d.Question("qa0", "Where?", d.SINGLE_HOP, "Oslo", ("D10:5",)),
        d.Question("qa1", "When?", d.TEMPORAL, "2023", ("D2:1", "D2:2")),
        d.Question("qa2", "Why?", d.OPEN_DOMAIN, "fun", ("D2:1",)),
        d.Question("qa3", "Both?", d.MULTI_HOP, "yes", ("D2:1",)),
        d.Question("qa4", "Ben's?", d.ADVERSARIAL, "", (), trap="Oslo"),
        d.Question("qa5", "So?", d.ADVERSARIAL, "No", ("D2:1",), trap="Yes"),
    )
    assert dialogue_from_record(dialogue_to_record(dialogue)) == dialogue


def test_every_repair_is_counted(write):
    assert read_locomo(write(CONVERSATION)).repairs == {
        locomo.RESPELT: 3,  # two of questions, one of a fact
        locomo.UNREADABLE: 1,
        locomo.ABSENT: 1,
        locomo.UNSCORED: 1,
        locomo.NUMBERS: 1,
        locomo.BOTH: 1,
        locomo.DATES: 1,
    }


def test_only_wrong_keys_of_the_same_question_are_corrected(write):
    found = read_locomo(write(CONVERSATION, ERRORS))
    assert [q.corrected for q in found.dialogues[0].questions] == ["Bergen", "", "", "", "", ""]
    assert found.corrected == 1
    assert found.repairs[audit.MISFIT] == 2


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("12:00 am on 29 February, 2024", "2024-02-29T00:00:00Z"),
        ("12:30 pm on 1 January, 2023", "2023-01-01T12:30:00Z"),
        ("9:05 PM on 31 December 2022", "2022-12-31T21:05:00Z"),
    ],
)
def test_times(text, time):
    assert session_time(text) == time


BROKEN = [
    (["sample_id"], None, r"locomo.json: \[0\] has no field sample_id; give locomo10.json"),
    (["conversation"], [], r"\[0\].conversation is an empty list, not an object"),
    (["conversation", "speaker_b"], 3, r"conversation has a number as speaker_b, not text"),
    (["conversation", "session_2_date_time"], "May", r"session_2_date_time is wrong \('May' is no"),
    (["conversation", "session_2_date_time"], "1:00 pm on 31 June, 2023", r"wrong \(.*day"),
    (["conversation", "session_2", 1, "dia_id"], "D2:1", "two turns with the dia_id D2:1"),
    (["conversation", "session_2", 1, "dia_id"], "D2: 1", r"session_2\[1\] has the dia_id 'D2: 1'"),
    (["conversation", "session_2", 1, "text"], None, r"session_2\[1\] has no field text"),
    (["qa", 0, "category"], 6, r"qa\[0\] has the category 6, not one of 1 to 5"),
    (["qa", 0, "category"], [1], r"category \[1\]"),
    (["qa", 0, "answer"], None, r"qa\[0\] has no field answer"),
    (["qa", 0, "answer"], {}, r"qa\[0\] has an object as answer, not text"),
    (
        ["observation", "session_2_observation", "Ben", 0],
        ["x"],
        r"no pair of a fact .* as Ben\[0\]",
    ),
]


@pytest.mark.parametrize(("way", "value", "sentence"), BROKEN, ids=lambda x: str(x)[:40])
def test_what_is_wrong_is_named(way, value, sentence, write):
    broken = copy.deepcopy(CONVERSATION)
    inner = broken
    for key in way[:-1]:
        inner = inner[key]
    if value is None:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    with pytest.raises(UserError, match=sentence):
        read_locomo(write(broken))


def test_other_files_are_refused(tmp_path, write):
    file = tmp_path / "x.json"
    with pytest.raises(UserError, match="no such file"):
        read_locomo(file)
    for text, sentence in [
        ("{}", "an object, not a list"),
        ("[", "not valid JSON"),
        ("[]", "empty"),
    ]:
        file.write_text(text)
        with pytest.raises(UserError, match=sentence):
            read_locomo(file)
    file.write_text(json.dumps([CONVERSATION, CONVERSATION]))
    with pytest.raises(UserError, match="a sample_id occurs twice"):
        read_locomo(file)
    with pytest.raises(UserError, match=r"audit_errors.json: \[0\] has a question_id"):
        read_locomo(write(CONVERSATION, [ERRORS[0] | {"question_id": "locomo_x"}]))


# Turns, and questions of the categories 1 to 5, as counted by others.
PUBLISHED = {
    "conv-26": (419, 32, 37, 13, 70, 47),
    "conv-30": (369, 11, 26, 0, 44, 24),
    "conv-41": (663, 31, 27, 8, 86, 41),
    "conv-42": (629, 37, 40, 11, 111, 61),
    "conv-43": (680, 31, 26, 14, 107, 64),
    "conv-44": (675, 30, 24, 7, 62, 35),
    "conv-47": (689, 20, 34, 13, 83, 40),
    "conv-48": (681, 21, 42, 10, 118, 48),
    "conv-49": (509, 37, 33, 13, 73, 40),
    "conv-50": (568, 32, 32, 7, 87, 46),
}
# Turns with the address of a picture.
PICTURES = {
    "conv-26": 77,
    "conv-30": 30,
    "conv-41": 77,
    "conv-42": 80,
    "conv-43": 123,
    "conv-44": 149,
    "conv-47": 81,
    "conv-48": 108,
    "conv-49": 86,
    "conv-50": 99,
}


@pytest.fixture(scope="module")
def real():
    default = REPO.parent / "shared/data/locomo/locomo8.json"
    file = Path(os.environ.get("DUOMEM_LOCOMO", default))
    if not file.exists():
        pytest.skip(f"no LoCoMo at {file}; set DUOMEM_LOCOMO to its file")
    return read_locomo(file)


def test_the_published_counts(real):
    for dialogue in real.dialogues:
        kinds = Counter(q.kind for q in dialogue.questions)
        found = (len(list(dialogue.turns())), *(kinds[locomo.CATEGORIES[i]] for i in range(1, 6)))
        assert found == PUBLISHED[dialogue.id]


def test_the_published_pictures(real):
    for dialogue, links in real.links.items():
        assert len(links) == PICTURES[dialogue]


def test_times_of_the_real_file_ascend(real):
    for dialogue in real.dialogues:
        times = [session.at for session in dialogue.sessions]
        assert times == sorted(times)


def test_corrections_of_the_real_audit_fit(real):
    assert audit.MISFIT not in real.repairs
    if len(real.dialogues) == 8 and real.corrected:
        assert real.corrected == 90  # errors that are not of a citation alone
