"""The tiny listener: what its lessons must never show, and how its tokenizer spells."""

import re

import jax
import numpy as np
import pytest

from duomem_jax.base.draw import Draw
from duomem_jax.decode.grammar import json_text
from duomem_jax.memory.operations import answer, extract, update
from duomem_jax.memory.teach import Demonstrator, Teaching
from duomem_jax.models.model import Model
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.listener.blur import blurred
from duomem_jax.tiny.listener.copying import compose_copying
from duomem_jax.tiny.listener.lessons import SEED, SIZE, lessons
from duomem_jax.tiny.listener.start import STD, compose, shape
from duomem_jax.tiny.listener.tokenizer import save_tokenizer
from duomem_jax.worlds.dialogues import generate_dialogue
from duomem_jax.worlds.dialogues.generate.tables import tables
from duomem_jax.worlds.dialogues.made_up import held_out_words, made_up, made_up_name
from duomem_jax.worlds.dialogues.retold import swapped


@pytest.fixture(scope="module")
def corpus():
    return [list(lessons(i)) for i in range(30)]


@pytest.fixture(scope="module")
def texts(corpus):
    return [m["content"] for own in corpus for lesson in own for m in lesson]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder, texts, max_length=1024)
    return load_tokenizer(folder)


def test_lessons_are_a_function_of_their_number(corpus):
    assert list(lessons(3)) == corpus[3]
    assert list(lessons(4)) != corpus[3]


def test_no_lesson_has_the_prompt_of_an_operation(texts):
    text = "\n".join(texts)
    for prompt in (extract.PROMPT, update.PROMPT, answer.PROMPT):
        sentences = re.split(r"\$\w+|(?<=[.:?]) |\n", prompt.text)
        wanted = [s for s in sentences if len(s.split()) > 2]
        assert wanted
        for sentence in wanted:
            assert sentence not in text
    assert answer.UNKNOWN not in text


def test_no_lesson_has_a_name_or_value_of_held_out_dialogues(texts):
    text = "\n".join(texts).casefold()
    names = tables(held_out=True)["names"]
    found = [n for side in ("women", "men") for group in names[side].values() for n in group]
    values = tables(held_out=True)["values"]
    found += [row[0] for table in values.values() for row in table["rows"]]
    # Numbers have meanings of all sorts.
    words = [w.casefold() for w in found if not re.search(r"\d", w)]
    assert len(words) > 100
    there = [w for w in words if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", text)]
    # An allergy of one side; people of the other have an opinion on its jam.
    assert there in ([], ["pineapple"])


def test_made_up_words_are_in_no_held_out_name_or_value():
    assert {"nairobi", "oboe"} & held_out_words()
    draw = Draw("words")
    made = [made_up(draw) for _ in range(3000)] + [made_up_name(draw) for _ in range(1000)]
    assert not {word.casefold() for word in made} & held_out_words()
    assert all(made_up(draw, "oboe")[0] in "aeio" for _ in range(50))
    assert all(made_up(draw, "Nurse")[0].isupper() for _ in range(50))


def test_a_swapped_dialogue_says_the_same_of_others():
    dialogue = generate_dialogue(SEED, 0, SIZE)
    other = swapped(dialogue, Draw("swap"))
    assert not {*dialogue.speakers} & {*other.speakers}
    assert [len(s.turns) for s in other.sessions] == [len(s.turns) for s in dialogue.sessions]
    # Every key that stood in a fact still does.
    pairs = list(zip(dialogue.questions, other.questions, strict=True))
    before = sum(any(q.answer in f.text for f in dialogue.facts) for q, _ in pairs if q.answer)
    after = sum(any(q.answer in f.text for f in other.facts) for _, q in pairs if q.answer)
    assert after > 20
    assert abs(after - before) <= 2


def test_a_blurred_dialogue_keeps_what_is_noted():
    dialogue = swapped(generate_dialogue(SEED, 1, SIZE), Draw("swap"))
    other = blurred(dialogue, Draw("blur"))
    pairs = list(zip(dialogue.turns(), other.turns(), strict=True))
    assert sum(a.text != b.text for (_, a), (_, b) in pairs) > 30
    assert other.facts == dialogue.facts
    names = {fact.value for fact in dialogue.facts if " " not in fact.value}
    for (_, a), (_, b) in pairs:
        assert all(name in b.text for name in names if name and name in a.text)


def test_any_text_survives_a_round_trip(tokenizer, texts):
    own = (
        "",
        "Zażółć <b>\t\n  x",
        "刘洋's 1,050 euros, I'm 12345",
        "e\u0301 \U0001f600 ' ",
        "سلمى",
    )
    for text in (*own, *texts[:200]):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_name_is_spelt_alike_wherever_it_stands(tokenizer):
    name = [tokenizer.decode([i]) for i in tokenizer.encode("Begoña")]
    for text in ("1. Begoña: Hi", '{"fact":"Begoña lives', "Hello Begoña!", "(Begoña)"):
        spelt = [tokenizer.decode([i]) for i in tokenizer.encode(text)]
        places = range(len(spelt))
        assert any(spelt[i : i + len(name)] == name for i in places), (text, spelt)


def test_the_prompts_of_the_operations_are_short(tokenizer, tmp_path):
    dialogue = generate_dialogue(SEED, 5)
    for operation in ("extract", "update", "answer"):
        shown = next(Demonstrator(operation, Teaching())([dialogue], tmp_path)).demonstrations[0]
        asked = shown.messages[0]["content"]
        prompt = {"extract": extract, "update": update, "answer": answer}[operation].PROMPT.text
        fixed = len(prompt.split())
        assert len(tokenizer.encode(asked)) < 1.6 * (len(asked.split()) - fixed) + 40


def test_a_list_of_json_goes_on_or_ends_with_one_token(tokenizer):
    def first_after(value):
        ids = tokenizer.encode(json_text(value))
        return tokenizer.decode([ids[2]])

    assert first_after({"facts": []}) == '":[]}'
    assert first_after({"facts": [{"turn": 1, "fact": "x"}]}) == '":[{"'


def test_compose_puts_one_word_near_itself_and_numbers_in_their_order():
    tokens = ["may", " may", " May", "x", *map(str, range(32))]
    fresh = np.random.default_rng(0).normal(0, STD, (len(tokens), 256))
    row = dict(zip(tokens, compose(fresh, tokens, seed=1), strict=True))

    def near(a, b):
        return float(row[a] @ row[b] / np.linalg.norm(row[a]) / np.linalg.norm(row[b]))

    assert near("may", " may") > 0.3
    assert near("may", " May") > 0.3
    assert abs(near("may", "x")) < 0.3
    nearby = np.mean([near(str(n), str(n + 1)) for n in range(31)])
    apart = np.mean([near(str(n), str(n + 5)) for n in range(27)])
    assert nearby > apart + 0.05


def test_rows_hold_lessons_of_several_sorts(corpus):
    asked = [m["content"] for own in corpus for le in own for m in le if m["role"] == "user"]
    sorts = {text.splitlines()[-1].split()[0] for text in asked}
    assert {"told", "who", "copy", "where", "same", "whose", "last", "later:", "When"} <= sorts


@pytest.mark.parametrize("copies", [True, False])
def test_the_start_looks_for_what_came_after_the_same_two_tokens(copies):
    """Attention of the first two layers, computed here from the parameters."""
    config = shape()
    params = jax.tree.map(np.array, jax.device_get(Model(config).init(jax.random.key(1))))
    if copies:
        compose_copying(params, config, STD, seed=1)
    rng = np.random.default_rng(0)
    once = rng.integers(300, 330, 60)
    ids_T = np.concatenate([once, rng.integers(400, 430, 40), once])
    x_TD = params["embedding"][ids_T]
    back = [_attention(params, config, x_TD, 0, head) for head in (0, 1)]
    one, two = (
        np.mean([a_TT[t, t - n] for t in range(60, 160)])
        for n, a_TT in ((1, back[0]), (2, back[1]))
    )
    own = params["layers"]["self_attn"]
    value_TH = _rms(x_TD) @ own["v_proj"]["kernel"][0][:, : config.head_dim]
    for head, a_TT in enumerate(back):
        rows = slice(head * config.head_dim, (head + 1) * config.head_dim)
        x_TD = x_TD + a_TT @ value_TH @ own["o_proj"]["kernel"][0][rows]
    again_TT = _attention(params, config, x_TD, 1, 0)
    found = np.mean([again_TT[t, t - 99] for t in range(103, 160)])
    assert (one > 0.8, two > 0.8, found > 0.8) == (copies, copies, copies), (one, two, found)


def _rms(x):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def _attention(params, config, x_TD, layer, head):
    """Weights of a head of the first group of keys."""
    own, width = params["layers"]["self_attn"], config.head_dim
    angle_TD = np.arange(len(x_TD))[:, None] * config.rope.frequencies(width)

    def placed(name, columns):
        y = _rms((_rms(x_TD) @ own[f"{name}_proj"]["kernel"][layer])[:, columns])
        a, b = np.split(y * own[f"{name}_norm"]["scale"][layer], 2, axis=1)
        cos, sin = np.cos(angle_TD), np.sin(angle_TD)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=1)

    query = placed("q", slice(head * width, (head + 1) * width))
    scores_TT = query @ placed("k", slice(0, width)).T / width**0.5
    scores_TT = np.where(np.tri(len(x_TD)) > 0, scores_TT, -np.inf)
    weights_TT = np.exp(scores_TT - scores_TT.max(1, keepdims=True))
    return weights_TT / weights_TT.sum(1, keepdims=True)
