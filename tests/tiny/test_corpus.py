"""The tiny models' corpora: what they must show, and what they must never show."""

import itertools
import random

import pytest

from duomem_jax.memory.show import GUIDELINES_HEADER
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.tiny.corpus import expert_lessons, general_lessons
from duomem_jax.tiny.rows import messages
from duomem_jax.tiny.tokenizer import save_tokenizer, vocabulary
from duomem_jax.worlds.household.expert.observation import task_sentence
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.made_up.verbs import (
    REAL_SKELETONS,
    made_up_words,
    sample_verb,
)
from duomem_jax.worlds.household.sentences import parse_goal


@pytest.fixture(scope="module")
def general():
    return list(general_lessons(generate_games(150, 3), LocationPrior.default(), 3))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory, general):
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [m["content"] for t in general for m in messages(t)]
    save_tokenizer(folder, vocabulary(texts), max_length=1024)
    return load_tokenizer(folder)


def test_general_lessons_never_show_a_real_task(general):
    assert len(general) > 80
    for lesson in general:
        assert parse_goal(task_sentence(lesson.turns[0].observation)) is None


def test_sample_verb_never_gives_a_real_procedure():
    rng = random.Random(0)
    for _ in range(2000):
        verb = sample_verb(
            rng,
            rng.sample(["clean", "heat", "cool"], rng.randint(0, 3)),
            target=rng.random() < 0.8,
            lamp=rng.random() < 0.5,
            two=rng.random() < 0.5,
        )
        assert verb.skeleton not in REAL_SKELETONS
        assert (
            parse_goal(verb.fill({"object": "mug", "target": "desk", "lamp": "desklamp"})[0])
            is None
        )


def test_made_up_words_are_unknown_to_the_world():
    assert len(set(made_up_words())) == 80
    assert not {"put", "clean", "heat", "cool", "look", "find", "examine"} & set(made_up_words())


def test_general_lessons_follow_a_task_only_with_its_procedure_written(general):
    for lesson in general:
        knows = not lesson.turns[0].thought.startswith("I do not know")
        assert knows == bool(lesson.advice)
        assert knows == messages(lesson)[0]["content"].startswith(GUIDELINES_HEADER)


def test_guidelines_are_mostly_about_other_things(general):
    followed = [t for t in general if t.advice]
    same = sum(
        task_sentence(t.turns[0].observation) in {advice.task for advice in t.advice}
        for t in followed
    )
    assert same < len(followed) / 4


def test_corpora_are_functions_of_their_seed():
    def first(seed):
        games = generate_games(30, seed)
        return list(itertools.islice(expert_lessons(games, LocationPrior.default(), seed), 5))

    assert first(7) == first(7)
    assert first(7) != first(8)


def test_slips_carry_no_loss(tokenizer):
    games = generate_games(60, 11)
    lessons = expert_lessons(games, LocationPrior.default(), 11, slip_rate=0.3)
    slipped = [lesson for lesson in lessons if not all(turn.learnt for turn in lesson.turns)]
    assert slipped
    for lesson in slipped:
        tokens, mask, _ = chat_tokens(tokenizer).conversations([messages(lesson)])[0]
        learnt = tokenizer.decode([t for t, m in zip(tokens, mask, strict=True) if m])
        expected = "".join(
            f"Thought: {turn.thought}\nAction: {turn.action}<|end|>"
            for turn in lesson.turns
            if turn.learnt
        )
        assert learnt == expected


def test_tokenizer_round_trip_of_any_text(tokenizer, general):
    for text in ("", "Zażółć <b>\t\n  x", "a mug 12345", general[0].turns[0].observation):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (
            "You arrive at shelf 1. On the shelf 1",
            ["You arrive at", " shelf 1", ". On the", " shelf 1"],
        ),
        (
            ", you see a mug 2, and a apple 9.",
            [", you see", " a", " mug 2", ", and a", " apple 9", "."],
        ),
        (" a shelf 12", [" a", " shelf", " 12"]),  # more shelves than were ever seen
        (" in shelf, apple", [" in", " shelf", ",", " apple"]),  # not the phrase `, a`
    ],
)
def test_things_and_phrases_are_single_tokens(text, tokens, tmp_path):
    texts = ["shelf 1 mug 2 apple 9", " in shelf, apple a ."]
    save_tokenizer(tmp_path, vocabulary(texts, min_count=1), max_length=64)
    tokenizer = load_tokenizer(tmp_path)
    assert [tokenizer.decode([i]) for i in tokenizer.encode(text)] == tokens
