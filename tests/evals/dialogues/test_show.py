"""What stands before a question."""

import pytest

from duomem_jax.evals.dialogues import show
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import (
    SINGLE_HOP,
    Dialogue,
    Question,
    Session,
    Turn,
)

DIALOGUE = Dialogue(
    "d",
    ("Ann", "Ben"),
    (
        Session(
            "2024-05-01T12:00:00Z", (Turn("1", "Ann", "I live in Lyon."), Turn("2", "Ben", "Oh!"))
        ),
        Session(
            "2024-06-01T12:00:00Z",
            (Turn("3", "Ann", "I moved to Porto."), Turn("4", "Ben", "Nice.", "a bridge")),
        ),
    ),
)
QUESTION = Question("q", "Where does Ann live?", SINGLE_HOP, "Porto", ("3", "1"))


def words(text):
    return len(text.split())


def lines(page):
    return [memo.text for memo in page.memos]


def test_nothing_shows_nothing():
    page = show.nothing(QUESTION)
    assert (page.memos, page.found(QUESTION), page.share(DIALOGUE)) == ((), 0.0, 0.0)


def test_the_whole_shows_all_with_times_and_captions():
    page = show.whole(DIALOGUE)(QUESTION)
    assert lines(page) == [
        "Ann: I live in Lyon.",
        "Ben: Oh!",
        "Ann: I moved to Porto.",
        "Ben: Nice. [shares a bridge]",
    ]
    assert [memo.at[:7] for memo in page.memos] == ["2024-05"] * 2 + ["2024-06"] * 2
    assert (page.found(QUESTION), page.share(DIALOGUE)) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("room", "shown", "found"), [(4, 0, 0.0), (5, 1, 0.0), (10, 2, 0.5), (99, 4, 1.0)]
)
def test_what_was_said_last_is_shown_as_far_as_there_is_room(room, shown, found):
    page = show.recent(DIALOGUE, room, words)(QUESTION)
    assert len(page.memos) == shown
    assert page.found(QUESTION) == found
    assert sum(map(words, lines(page))) <= room


def test_the_evidence_is_the_turns_that_the_key_is_in():
    page = show.evidence(DIALOGUE)(QUESTION)
    assert lines(page) == ["Ann: I moved to Porto.", "Ann: I live in Lyon."]
    assert page.found(QUESTION) == 1.0
    unknown = Question("r", "?", SINGLE_HOP, "", ())
    assert show.evidence(DIALOGUE)(unknown).found(unknown) == -1


def test_what_a_store_finds_counts_by_the_turns_it_rests_on(tmp_path):
    with Store.open(tmp_path / "s.sqlite") as store:
        for session in DIALOGUE.sessions:
            store.remember(session.turns, at=session.at)
        page = show.recalled(store, 5, words)(QUESTION)
        # Ann's turns have words of the question, and there is room for one.
        assert lines(page) in (["Ann: I live in Lyon."], ["Ann: I moved to Porto."])
        assert page.found(QUESTION) == 0.5
        assert 0 < page.share(DIALOGUE) < 1
