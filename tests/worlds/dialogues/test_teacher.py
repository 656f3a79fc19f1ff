"""What a teacher of rules makes of dialogues, compared with what is true in them."""

import re

import pytest

from duomem_jax.records.dialogues import Dialogue, Fact, Session, Turn
from duomem_jax.worlds.dialogues import (
    ADD,
    DELETE,
    KEEP,
    UPDATE,
    Decision,
    apply,
    extract,
    generate_dialogue,
    remembered,
    update,
)


def fact(text, about="", value="", ends=False):
    return Fact(text, "Ana", 0, ("D1:1",), about, ends, value)


LYON = fact("Ana lives in Lyon.", "Ana/city", "Lyon")
PORTO = fact("Ana moved to Porto on 3 May 2024.", "Ana/city", "Porto")
NURSE = fact("Ana works as a nurse.", "Ana/job", "nurse")
TENNIS = fact("Ana does tennis as a hobby.", "Ana/hobby/tennis", "tennis")
NO_TENNIS = fact("Ana gave up tennis in May 2024.", "Ana/hobby/tennis", "tennis", ends=True)
MOVED = "Ana moved to Porto on 3 May 2024. Ana used to live in Lyon."


@pytest.mark.parametrize(
    ("known", "new", "decisions"),
    [
        ([], LYON, [Decision(ADD, text=LYON.text)]),
        ([NURSE], LYON, [Decision(ADD, text=LYON.text)]),
        ([NURSE, LYON], LYON, [Decision(KEEP, 1)]),
        ([NURSE, LYON], PORTO, [Decision(UPDATE, 1, MOVED)]),
        ([TENNIS], NO_TENNIS, [Decision(UPDATE, 0, NO_TENNIS.text)]),
        ([NO_TENNIS], NO_TENNIS, [Decision(KEEP, 0)]),
        ([], NO_TENNIS, [Decision(ADD, text=NO_TENNIS.text)]),
        ([LYON, NURSE, LYON], PORTO, [Decision(UPDATE, 0, MOVED), Decision(DELETE, 2)]),
        ([LYON, PORTO], PORTO, [Decision(KEEP, 1), Decision(DELETE, 0)]),
        ([fact("Ana likes rain.")], fact("ana  likes rain"), [Decision(KEEP, 0)]),
        ([fact("Ana paints.")], fact("Ana sings."), [Decision(ADD, text="Ana sings.")]),
    ],
    ids=str,
)
def test_what_a_fact_does_to_the_known_ones(known, new, decisions):
    assert update(known, new) == decisions


def test_former_values_are_kept_in_words():
    known = [LYON]
    for city in ("Porto", "Graz"):
        new = fact(f"Ana moved to {city}.", "Ana/city", city)
        known = apply(known, new, update(known, new))
    assert [f.text for f in known] == [
        "Ana moved to Graz. Ana used to live in Porto. Ana used to live in Lyon."
    ]


def test_windows_that_part_a_session_part_its_facts(dialogues):
    for dialogue in dialogues[:20]:
        for number, session in enumerate(dialogue.sessions):
            ids = [turn.id for turn in session.turns]
            parts = [ids[i : i + 3] for i in range(0, len(ids), 3)]
            found = [f for part in parts for f in extract(dialogue, number, part)]
            assert sorted(f.text for f in found) == sorted(
                f.text for f in extract(dialogue, number)
            )
        whole = [f for n in range(len(dialogue.sessions)) for f in extract(dialogue, n)]
        assert whole == list(dialogue.facts)


def test_notes_of_other_dialogues_are_extracted_too():
    # LoCoMo's observations have neither `about` nor values, and may point to other sessions.
    turns = (Turn("D1:1", "A", "I paint."), Turn("D1:2", "B", "I sing."))
    notes = (Fact("A paints.", "A", 0, ("D1:1", "D9:9")), Fact("B sings.", "B", 0, ("D1:2",)))
    dialogue = Dialogue("x", ("A", "B"), (Session("2024-01-01T00:00:00Z", turns),), notes)
    assert [f.text for f in extract(dialogue, 0, ["D1:1"])] == ["A paints."]
    assert len(remembered(dialogue)) == 2
    with pytest.raises(IndexError, match="no session 1"):
        extract(dialogue, 1)


def truth(story):
    """What is true at the end, by what it is about, from the timeline alone."""
    states = {}
    for event in story.timeline.events:
        if event.move == "again":
            continue
        value = event.value
        if event.slot == "event":
            value = event.when.key
        if event.slot == "plan":
            state = "planned" if event.move == "moved" else event.move
            value = state if state == "cancelled" else f"{state} {event.when.key}"
        states[event.about] = (value, event.move in ("end", "cancelled"))
    return states


def test_the_store_holds_what_is_true_and_nothing_else(stories):
    for story in stories:
        store = remembered(story.dialogue)
        assert {f.about: (f.value, f.ends) for f in store} == truth(story)
        assert len({f.about for f in store}) == len(store)


def test_what_ended_is_not_told_as_if_it_were_so(stories):
    ended = 0
    for story in stories:
        before = {f.text for f in story.dialogue.facts if not f.ends}
        for memory in remembered(story.dialogue):
            if memory.ends:
                ended += 1
                assert not any(text in memory.text for text in before)
                assert re.search(
                    r"gave up|stopped|sold|died|broke up|cancelled|no longer", memory.text
                )
    assert ended > len(stories)


def test_every_operation_is_taught(dialogues):
    kinds = [
        decision.kind
        for dialogue in dialogues
        for i, new in enumerate(dialogue.facts)
        for decision in update(list(_store(dialogue, i)), new)
    ]
    assert kinds.count(ADD) < 0.85 * len(kinds)
    assert kinds.count(UPDATE) > 0.1 * len(kinds)
    assert kinds.count(KEEP) > 0.05 * len(kinds)


def _store(dialogue, count):
    known = []
    for new in dialogue.facts[:count]:
        known = apply(known, new, update(known, new))
    return known


def test_the_store_holds_what_questions_ask_for(dialogues):
    inferred = 0
    for dialogue in dialogues:
        store = {f.about: f for f in remembered(dialogue)}
        for question in dialogue.questions:
            asked = {f.about for f in dialogue.facts if set(f.evidence) & set(question.evidence)}
            if question.kind == "adversarial":
                continue
            texts = " ".join(store[about].text for about in asked).casefold()
            assert texts
            if question.kind == "open-domain" or re.fullmatch(
                r"Yes|No|\d+|\d+ days", question.answer
            ):
                inferred += 1
                continue
            for part in question.answer.split(", "):
                assert part.casefold() in texts, (question, texts)
    assert inferred < sum(len(d.questions) for d in dialogues) / 3


def test_the_teacher_of_a_long_dialogue_is_quick():
    from duomem_jax.worlds.dialogues import Size

    dialogue = generate_dialogue(1, 1, Size(sessions=60, turns=20))
    assert len(remembered(dialogue)) < len(dialogue.facts)
