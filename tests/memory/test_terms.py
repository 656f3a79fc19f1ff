"""Terms: what is one word to a reader is one term, in every script."""

# ruff: noqa: RUF001 - letters that look like others are what is tested

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomem_jax.memory.retrieve.terms import terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Running DOGS", "run dog"),
        ("Zoë’s café", "zoe cafe"),
        ("Straße", "STRASSE"),
        ("ＡＢＣ１２３", "abc123"),
        ("Ёлка", "елка"),
        ("e\u0301te\u0301", "été"),  # accents as letters of their own
        ("ﬁne", "fine"),
        ("İstanbul", "istanbul"),
        ("がっこう", "か\u3099っこう"),
        ("☕️", "☕"),
        ("👍🏽", "👍"),
        ("Cola™", "cola"),
        ("O'Neill", "o’neill"),
        ("user_name", "user name"),
    ],
)
def test_one_word_has_one_term(one, other):
    assert terms(one) == terms(other) != []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("猫", "私は猫が好き"),
        ("東京", "昨日東京タワーへ行った"),
        ("タワー", "昨日東京タワーへ行った"),
        ("서울", "어제 서울에 갔다"),
        ("ไทย", "ภาษาไทยสนุก"),
        ("हिन्दी", "वह हिन्दी बोलता है।"),
        ("кошка", "У Анны Кошка!"),
        ("🎸", "learned 🎸today"),
        ("iPhone", "新しいiPhoneを買った"),
        ("2023", "in 2023年"),
    ],
)
def test_a_word_is_found_in_a_sentence(query, text):
    assert set(terms(query)) <= set(terms(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("か", "が"), ("हिन्दी", "हन्द"), ("🇯🇵", "🇯🇲"), ("two", "too"), ("東京", "京東")],
)
def test_other_words_have_other_terms(one, other):
    assert terms(one) != terms(other)


@pytest.mark.parametrize("text", ["", " \n", "...!? — “”", "_ ' ’", "\ufe0f\u200d", "\x00"])
def test_punctuation_has_no_terms(text):
    assert terms(text) == []


@given(st.text())
def test_an_index_can_hold_every_term(text):
    for term in terms(text):
        assert term
        # Full-text search of SQLite parts texts at other ASCII letters than these.
        assert all(letter.isalnum() or ord(letter) > 127 for letter in term)
        assert not term.isspace()


@given(st.text(), st.text())
def test_texts_side_by_side_have_the_terms_of_both(a, b):
    assert terms(f"{a}\n{b}") == terms(a) + terms(b)
