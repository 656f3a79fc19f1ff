"""What holds for every generated dialogue."""

import datetime
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from when_said import MONTH, meant

from duomem_jax.records.dialogues import (
    KINDS,
    SEEN,
    TOLD,
    dialogue_from_record,
    dialogue_to_record,
)
from duomem_jax.worlds.dialogues import Size, generate_dialogue
from duomem_jax.worlds.dialogues.generate.tables import NAMES, tables

DATED = re.compile(rf"(?:on|in|for) ((?:the week before )?(?:\d+ )?(?:(?:{MONTH}) )?20\d\d)")


def turns_of(dialogue):
    return {turn.id: turn for _, turn in dialogue.turns()}


def day_of(session):
    return datetime.datetime.fromisoformat(session.at.replace("Z", "+00:00")).date()


def shown(turns, ids):
    return " ".join(f"{turns[i].text} {turns[i].caption}" for i in ids)


def leaves(node):
    if isinstance(node, str):
        return {node}
    if isinstance(node, dict):
        # Sentences of the teacher have one form, and are no lists.
        inner = [v for k, v in node.items() if k != "fields" and not isinstance(v, str | bool)]
        return set().union(*map(leaves, inner))
    return set().union(*map(leaves, node))


def test_the_two_sides_share_no_name_value_or_phrasing():
    train, held_out = (leaves([tables(side)[n] for n in NAMES]) for side in (False, True))
    assert not {t for t in train & held_out if not fixed(t)}
    assert len(held_out) > 600
    assert len(train) > 1.8 * len(held_out)


def fixed(text):
    """What stands in rows beside the value itself, such as the country of a city."""
    rows = [*tables(False)["values"].values(), *tables(True)["values"].values()]
    return any(text in row[1:] for table in rows for row in table["rows"])


def test_no_turn_of_a_held_out_dialogue_is_in_a_training_dialogue(dialogues):
    half = len(dialogues) // 2
    train, held_out = (
        {turn.text for d in part for _, turn in d.turns()}
        for part in (dialogues[:half], dialogues[half:])
    )
    assert not train & held_out
    names = [{s for d in part for s in d.speakers} for part in (dialogues[:half], dialogues[half:])]
    assert not names[0] & names[1]


def test_a_dialogue_is_the_same_in_every_process():
    code = (
        "from duomem_jax.worlds.dialogues import generate_dialogue as g; import hashlib; "
        "print(hashlib.sha256(repr([g(5, i) for i in (0, 7)]).encode()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONUTF8": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    here = repr([generate_dialogue(5, i) for i in (0, 7)]).encode()
    assert said.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_seeds_and_indices_give_different_dialogues(dialogues):
    assert len({d.sessions for d in dialogues}) == len(dialogues)
    assert generate_dialogue(4, 0).sessions != generate_dialogue(5, 0).sessions
    made = [(4, 0), (5, 0), (4, 1), (4, 0, Size(sessions=2)), (4, 0, Size(), True)]
    assert len({generate_dialogue(*args).id for args in (*made, (4, 0))}) == len(made)


def test_people_speak_by_turns_in_sessions_that_follow_each_other(dialogues):
    for d in dialogues:
        ids = [turn.id for _, turn in d.turns()]
        assert len(set(ids)) == len(ids)
        days = [day_of(s) for s in d.sessions]
        assert all(a < b for a, b in itertools.pairwise(days))
        for session in d.sessions:
            said = [turn.speaker for turn in session.turns]
            assert all(a != b for a, b in itertools.pairwise(said))
            assert set(said) == set(d.speakers)


def test_no_template_is_left_open(dialogues):
    for d in dialogues:
        texts = [f"{t.text} {t.caption}" for _, t in d.turns()]
        texts += [f.text for f in d.facts] + [q.text for q in d.questions]
        for text in texts:
            assert not re.search(r"[{}]|  \w|\ban? an? |\ba [aeio]\w|\ban [bcdfgkpqt]", text), text


def test_names_are_not_parts_of_each_other(stories):
    for story in stories:
        names = {e.person.name for e in story.timeline.events}
        names |= {e.value for e in story.timeline.events if e.slot in ("pet", "partner")}
        for a, b in itertools.permutations(names, 2):
            assert a.casefold() not in b.casefold()


def test_the_one_whom_a_fact_is_about_says_it(dialogues):
    for d in dialogues:
        turns = turns_of(d)
        for fact in d.facts:
            here = {turn.id for turn in d.sessions[fact.session].turns}
            assert fact.evidence
            assert set(fact.evidence) <= here
            assert turns[fact.evidence[-1]].speaker == fact.speaker
            assert fact.speaker in d.speakers
            assert fact.text.startswith((fact.speaker, "After", "The famous")), fact


def test_the_turns_of_a_fact_hold_what_it_says(dialogues):
    for d in dialogues:
        turns = turns_of(d)
        for fact in d.facts:
            _, slot, *item = fact.about.split("/")
            said = shown(turns, fact.evidence).casefold()
            if slot in ("event", "plan", "opinion"):
                # The verb is the same word at least in its first letters.
                words = re.findall(r"\w{4,}", item[0].casefold().replace("their", ""))
                found = [w[:4] in said for w in words]
                assert sum(found) >= len(found) / 2, (fact, said)
            if slot not in ("event", "plan"):
                assert fact.value.casefold() in said, (fact, said)


def test_dates_are_those_that_the_turns_name(dialogues):
    checked = 0
    for d in dialogues:
        turns = turns_of(d)
        for fact in d.facts:
            today = day_of(d.sessions[fact.session])
            named = {date.casefold() for date in meant(shown(turns, fact.evidence), today)}
            for date in DATED.findall(fact.text):
                assert date.casefold() in named, (fact, today, shown(turns, fact.evidence))
                checked += 1
    assert checked > 10 * len(dialogues)


def test_what_is_told_has_happened_since_the_last_session(dialogues):
    for d in dialogues:
        for fact in d.facts:
            found = re.search(rf"on (\d+) ({MONTH}) (20\d\d)", fact.text)
            if found and " plans " not in fact.text:
                day = datetime.datetime.strptime(" ".join(found.groups()), "%d %B %Y").date()
                assert day < day_of(d.sessions[fact.session])


def test_questions_have_turns_and_keys(dialogues):
    for d in dialogues:
        turns, texts = turns_of(d), [q.text for q in d.questions]
        assert len(set(texts)) == len(texts)
        assert len({q.id for q in d.questions}) == len(texts)
        for q in d.questions:
            assert q.evidence
            assert set(q.evidence) <= set(turns)
            assert q.text.endswith("?")
            assert bool(q.answer) != bool(q.trap) == (q.kind == "adversarial")
            assert len((q.answer or q.trap).split(", ")[0].split()) <= 6


def test_every_kind_is_asked_about(dialogues):
    count = Counter(q.kind for d in dialogues for q in d.questions)
    assert set(count) == {*KINDS} - {SEEN, TOLD}  # nobody shares a picture here
    assert min(count.values()) > 0.08 * count.total()
    assert count.total() > 18 * len(dialogues)


def test_yes_and_no_are_both_right_at_times(dialogues):
    count = Counter(q.answer for d in dialogues for q in d.questions)
    assert count["Yes"] > 20
    assert count["No"] > 20


def test_a_dialogue_of_the_size_of_locomo():
    d = generate_dialogue(0, 0, Size(sessions=30, turns=20, questions=200))
    assert len(d.sessions) == 30
    assert 540 < sum(len(s.turns) for s in d.sessions) < 680
    assert len(d.questions) == 200
    assert len(d.facts) > 150


def test_the_page_shows_a_dialogue_as_it_is():
    page = Path(__file__).parents[3] / "docs/dialogues.md"
    d = generate_dialogue(1, 6)
    shown = re.findall(r"^D4:\d+ .*: .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown == [f"{t.id} {t.speaker}: {t.text}" for t in d.sessions[3].turns]


def test_a_dialogue_is_stored_as_it_is(dialogues):
    for d in dialogues[:: len(dialogues) // 4]:
        assert dialogue_from_record(dialogue_to_record(d)) == d
