"""Replies under a schema: always valid, and spelt as a model would spell them by itself."""

import json
import random

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chats import CHATML, SPECIAL
from jsonschema import Draft202012Validator
from kinds import byte_level, fast, sentencepiece

from duomem_jax.base.errors import UserError
from duomem_jax.decode.generator import Generator
from duomem_jax.decode.grammar import Grammars, json_text
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer

FACT = {
    "type": "object",
    "properties": {
        "turn": {"enum": ["D1:1", "D1:12", "D2:3"]},
        "text": {"type": "string", "maxLength": 9},
        "n": {"type": "integer", "minimum": -3, "maximum": 120},
        "sure": {"type": ["boolean", "null"]},
    },
    "required": ["turn", "text", "n"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": FACT, "maxItems": 3}},
    "required": ["facts"],
    "additionalProperties": False,
}
WORD = {"type": "string", "maxLength": 6}
# A reply begins behind a special token, where Llama 2's tokenizer puts a space.
DIRECT = (
    "{%- for m in messages %}{%- if m['role'] == 'user' %}"
    "{{ '<|endoftext|>' + m['content'] + '<|im_start|>' }}{%- else %}"
    "{{ m['content'] + '<|im_end|>' }}{%- endif %}{%- endfor %}"
)
VALUES = [
    {"facts": []},
    {"facts": [{"turn": "D1:12", "text": "a plate", "n": 17, "sure": None}]},
    {"facts": [{"turn": "D1:1", "text": "„é“ 猫 😀", "n": -3}]},
    {"facts": [{"turn": "D2:3", "text": 'a "b"\\\n\t', "n": 120}] * 2},
]


@pytest.fixture(scope="module")
def spellers(tokenizers):
    return (
        {
            "bytes": tokenizers["chatml"],
            "gemma": tokenizers["gemma"],
            "shipped": load_tokenizer(model_folder("tiny-student")),
            "qwen": fast(byte_level(SPECIAL["chatml"], nfc=True, added=["<think>"]), CHATML),
        }
        | {
            "spaced": fast(sentencepiece(SPECIAL["chatml"], "normalizer"), DIRECT),
        }
        | {
            # As Gemma's, as Llama 2's, and one that splits at spaces.
            str(prefix): fast(sentencepiece(SPECIAL["chatml"], prefix), CHATML)
            for prefix in (None, "normalizer", "always")
        }
    )


SPELLERS = ["bytes", "gemma", "shipped", "qwen", "None", "normalizer", "always", "spaced"]


def bits(constraint):
    mask = np.zeros(-(-constraint.vocabulary // 32), np.uint32)
    constraint.allow(mask)
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


@pytest.mark.parametrize("speller", SPELLERS)
@pytest.mark.parametrize("value", VALUES)
def test_what_training_shows_is_allowed_and_forced_token_by_token(spellers, speller, value):
    tokenizer = spellers[speller]
    chat = chat_tokens(tokenizer)
    constraint = Grammars(tokenizer).constraint(SCHEMA)
    ids, place, forced = chat.reply(json_text(value)), 0, 0
    while not constraint.ended:
        if ahead := constraint.forced():
            assert ids[place : place + len(ahead)] == ahead
            forced += len(ahead)
        else:
            assert ids[place] in bits(constraint)
            ahead = [ids[place]]
        constraint.take(ahead)
        place += len(ahead)
    assert constraint.complete
    assert ids[place:] == [chat.end_id]
    assert forced > 0.3 * len(ids)


@pytest.mark.parametrize("speller", SPELLERS)
def test_no_special_token_is_ever_allowed(spellers, speller):
    tokenizer = spellers[speller]
    constraint = Grammars(tokenizer, ends=[0]).constraint({"type": "string"})
    special = {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    ids = chat_tokens(tokenizer).reply(json_text("plate pen"))
    for token in ids[:-1]:
        assert not special & {*bits(constraint)}
        constraint.take([token])
    assert constraint.ended


def random_model(tokenizer, seed, max_len=400):
    model = Model(ModelConfig("qwen3", len(tokenizer) + 5, 16, 1, 2, 1, 8, 24, max_len=max_len))
    rng = np.random.default_rng(seed)
    base = jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), model.shapes()["params"])
    return model, base


def opened(tokenizer, model, base, **how):
    end = chat_tokens(tokenizer).end_id
    return Generator(
        model,
        base,
        **{"slots": 4, "max_len": model.config.max_len, "eos_id": end, "max_new": 250} | how,
    )


ID = {
    "type": "object",
    "properties": {"id": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["id"],
    "additionalProperties": False,
}
SCHEMAS = [
    SCHEMA,
    {"type": "array", "items": WORD, "minItems": 1, "maxItems": 4},
    {"anyOf": [ID, WORD]},
    {"type": "number", "minimum": -1.5, "maximum": 12},
]


@pytest.mark.parametrize("speller", ["bytes", "shipped", "None", "spaced"])
@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_whatever_a_random_model_writes_is_valid(spellers, speller, temperature):
    tokenizer = spellers[speller]
    grammars, chat = Grammars(tokenizer), chat_tokens(tokenizer)
    generator = opened(tokenizer, *random_model(tokenizer, 1), temperature=temperature)
    seen = set()
    for turn in range(3):
        for slot in range(4):
            generator.reset(slot, seed=turn)
        generator.read(dict.fromkeys(range(4), chat.first(f"pen {turn}")))
        for slot, schema in enumerate(SCHEMAS):
            generator.constrain(slot, grammars.constraint(schema))
        for slot, ids in generator.write(range(4)).items():
            assert ids[-1] == chat.end_id
            if not generator.complete(slot):
                assert SCHEMAS[slot] is SCHEMAS[3]  # digits without end
                continue
            text = tokenizer.decode(ids, skip_special_tokens=True).strip()
            value = json.loads(text)
            Draft202012Validator(SCHEMAS[slot]).validate(value)
            json.dumps(value, ensure_ascii=False).encode()
            seen.add(text)
    assert len(seen) > 4


def test_a_reply_that_runs_out_of_tokens_is_not_complete(spellers):
    tokenizer = spellers["bytes"]
    chat, grammar = chat_tokens(tokenizer), Grammars(tokenizer)
    generator = opened(tokenizer, *random_model(tokenizer, 1))
    for limit in range(2, 12):
        generator.reset(0, max_new=limit)
        generator.read({0: chat.first("pen")})
        generator.constrain(0, grammar.constraint(SCHEMA))
        ids = generator.write([0])[0]
        assert len(ids) == limit
        assert ids[-1] == chat.end_id
        assert not generator.complete(0)


@pytest.mark.parametrize("piece", [1, 5])
def test_pieces_and_neighbours_change_nothing(spellers, piece):
    """Also beside rows that write freely, and with a turn before and behind."""
    tokenizer = spellers["bytes"]
    chat, grammar = chat_tokens(tokenizer), Grammars(tokenizer)
    model, base = random_model(tokenizer, 2)

    def talk(generator, slots, piece):
        said = {slot: [] for slot in slots}
        for slot in slots:
            generator.reset(slot, seed=slot, max_new=90, temperature=float(slot % 2))
        for turn in ("pen", "plate"):
            new = {slot: chat.first(f"{turn} {slot}") for slot in slots}
            generator.read(new)
            for slot in slots:
                if slot < 3:
                    generator.constrain(slot, grammar.constraint(SCHEMAS[slot]))
            replies, going = {slot: [] for slot in slots}, set(slots)
            while going:
                for slot, ids in generator.write(sorted(going), piece).items():
                    assert len(ids) <= (piece or 90) + 1
                    replies[slot] += ids
                    if ids and ids[-1] == chat.end_id:
                        going.remove(slot)
            for slot in slots:
                said[slot].append(replies[slot])
        return said

    how = {"group": 3}
    alone = {}
    for slot in range(4):
        alone |= talk(opened(tokenizer, model, base, **how), [slot], 0)
    assert talk(opened(tokenizer, model, base, **how), range(4), piece) == alone


@pytest.fixture(scope="module")
def trained(spellers):
    """A model that learnt one reply by heart, and the turn before it."""
    tokenizer = spellers["shipped"]
    chat = chat_tokens(tokenizer)
    prompt, reply = chat.first("look"), chat.reply(json_text(VALUES[1]))
    model = Model(ModelConfig("qwen3", len(tokenizer), 48, 1, 2, 1, 24, 96, max_len=256))
    ids = jnp.array([prompt + reply])
    places = jnp.arange(ids.shape[1])[None]

    def loss(base):
        x = model.hidden(base, ids, places, places * 0)[:, len(prompt) - 1 : -1]
        logits = model.head(base)(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, len(prompt) :]).mean()

    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(base, state):
        updates, state = optimizer.update(jax.grad(loss)(base), state)
        return optax.apply_updates(base, updates), state

    base = model.init(jax.random.key(0))
    state = optimizer.init(base)
    for _ in range(120):
        base, state = step(base, state)
    return model, base, prompt, reply


def test_a_model_that_knows_its_reply_writes_it_as_if_it_were_free(spellers, trained):
    model, base, prompt, reply = trained
    generator = opened(spellers["shipped"], model, base, max_len=256, max_new=150)
    assert generator.extend({0: prompt})[0] == reply
    generator.read({1: prompt})
    generator.constrain(1, Grammars(spellers["shipped"]).constraint(SCHEMA))
    assert generator.write([1])[1] == reply


def test_forced_tokens_are_not_chosen(spellers, trained, monkeypatch):
    from duomem_jax.decode import generator as module

    model, base, prompt, reply = trained
    steps = []
    advance = module.write_constrained

    def counted(*args, steps: object, **kwargs):
        return advance(*args, steps=lambda n: lambda *a: taken.append(n) or steps(n)(*a), **kwargs)

    taken = steps
    monkeypatch.setattr(module, "write_constrained", counted)
    generator = opened(spellers["shipped"], model, base, slots=1, max_len=256, max_new=150)
    generator.read({0: prompt})
    generator.constrain(0, Grammars(spellers["shipped"]).constraint(SCHEMA))
    assert generator.write([0])[0] == reply
    assert 1 in steps
    assert max(steps) > 1
    assert len(steps) < 0.6 * len(reply)


@pytest.mark.parametrize(
    "schema",
    [{"type": "strin"}, {"$ref": "#/nowhere"}, {"type": "array", "uniqueItems": True}],
)
def test_a_schema_that_cannot_be_used_is_a_sentence(spellers, schema):
    for speller in ("bytes", "spaced"):
        with pytest.raises(UserError, match=r"^schema: .*; change it, or ask without a schema$"):
            Grammars(spellers[speller]).constraint(schema)


def test_text_is_compact_and_keeps_its_letters():
    letters = "".join(random.Random(0).sample('é猫😀"\\\n/abc', 9))
    text = json_text({"a": [1, letters]})
    assert json.loads(text) == {"a": [1, letters]}
    assert " " not in text
    assert "\\u" not in text
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))
