"""Several experts of one base: each row as if its expert were alone, and nothing compiled again."""

import dataclasses
import json
import shutil
from itertools import cycle, islice

import jax
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from duomem_jax.base.errors import UserError
from duomem_jax.decode import programs
from duomem_jax.lora.peft import save_adapter
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import fingerprint, load_config, save_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.records import chat
from duomem_jax.speak import (
    Local,
    Request,
    Sampling,
    local,
    open_experts,
    open_speaker,
    speaker_identity,
)

LENGTH = 384
CONFIGS = {
    "extract": LoraConfig(4, 8.0, ("q_proj", "v_proj")),
    "update": LoraConfig(2, 4.0, ("q_proj", "down_proj")),
    "answer": LoraConfig(8, 16.0, ("all-linear",)),
}
FACTS = {
    "type": "object",
    "properties": {
        "facts": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 8}}
    },
    "required": ["facts"],
    "additionalProperties": False,
}
CHOICE = {"enum": ["add", "update", "delete", "keep"]}
TEXTS = ["look", "You are in a room.", "Your task is to: put a pen in a drawer.", "go to desk 1"]
HOLD = Local(max_len=LENGTH)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A random model with the shipped tokenizer."""
    folder, shipped = tmp_path_factory.mktemp("base") / "student", model_folder("tiny-student")
    vocabulary = load_config(str(shipped), "float32").vocab_size
    config = ModelConfig("qwen3", vocabulary, 64, 1, 2, 1, 32, 128, max_len=LENGTH)
    shapes = Model(config).shapes()["params"]
    rng = np.random.default_rng(9)
    save_pretrained(folder, config, jax.tree.map(lambda x: rng.normal(size=x.shape), shapes))
    for file in (*shipped.glob("token*"), *shipped.glob("chat*"), *shipped.glob("special*")):
        shutil.copy(file, folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, student):
    """Random adapters, strong enough to change what is written."""
    root = tmp_path_factory.mktemp("experts")
    for seed, (name, config) in enumerate(CONFIGS.items()):
        shapes = Model(load_config(student, "float32"), config).shapes()["lora"]
        rng = np.random.default_rng(seed)
        tree = jax.tree.map(lambda x, rng=rng: 0.4 * rng.normal(size=x.shape).astype("f"), shapes)
        save_adapter(root / name, tree, config, fingerprint(student), base_name="student")
    return {name: str(root / name) for name in CONFIGS}


@pytest.fixture(scope="module")
def experts(student, folders):
    return open_experts(student, folders | {"judge": ""}, HOLD)


@pytest.fixture(scope="module")
def requests():
    """Experts, lengths, schemas and temperatures, each beside each."""
    names = cycle(["extract", "update", "answer", "", "judge"])
    schemas = cycle([FACTS, None, CHOICE])
    lengths = cycle([60, 40, 9, 90])
    found = []
    for i, (text, name, schema, max_new) in enumerate(
        islice(zip(cycle(TEXTS), names, schemas, lengths, strict=False), 17)
    ):
        how = Sampling(max_new, temperature=float(i % 7 == 3), seed=i, schema=schema)
        found.append(Request([chat.user(f"{text} {i}")], how, name))
    return found


def test_each_row_is_what_its_expert_writes_alone(student, experts, folders, requests, tmp_path):
    replies = list(experts.answer(requests))
    for name in ["", *folders]:
        adapter = folders.get(name, "")
        with open_speaker(
            student, Local(adapter=adapter, max_len=HOLD.max_len), record=tmp_path / "unused"
        ) as alone:
            own = [i for i, r in enumerate(requests) if r.expert.replace("judge", "") == name]
            expected = list(alone.answer(requests[i] for i in own))
            assert [replies[i] for i in own] == expected
    for request, reply in zip(requests, replies, strict=True):
        if request.how.schema and not reply.cut:
            Draft202012Validator(request.how.schema).validate(json.loads(reply.text))
    # The experts are not all of one opinion.
    one = [Request([chat.user("look")], Sampling(30), name) for name in ["", *folders]]
    assert len({reply.text for reply in experts.answer(one)}) == 4


def test_nothing_is_compiled_for_another_mixture(experts, requests):
    """One expert alone, with and without a schema, has all programs that any mixture needs."""
    programs.compiled.cache_clear()
    greedy = [r for r in requests if not r.how.temperature][:8]
    alone = [
        Request([chat.user("look " * i)], Sampling(70, schema=schema), "extract")
        for i, schema in enumerate([FACTS, None] * 4)
    ]
    list(experts.answer(alone))
    needed = programs.compiled.cache_info().misses
    assert needed > 0
    before = list(experts.answer(greedy))
    names = ["answer", "extract", "", "update"]
    swapped = [Request(r.chat, r.how, names[i % 4]) for i, r in enumerate(greedy)]
    assert list(experts.answer(swapped)) != before
    longer = [Request(r.chat, Sampling(23 + i), r.expert) for i, r in enumerate(greedy)]
    list(experts.answer(longer))
    assert list(experts.answer(greedy)) == before
    assert programs.compiled.cache_info().misses == needed


def test_an_expert_is_a_speaker_of_its_own_on_what_all_share(student, experts, folders, tmp_path):
    how = Sampling(30)
    extract = experts.expert("extract")
    own = Local(adapter=folders["extract"], max_len=HOLD.max_len)
    with open_speaker(student, own, record=tmp_path / "unused") as alone:
        assert (extract.name, extract.identity()) == (alone.name, alone.identity())
        assert list(extract.reply([[chat.user("look")]], how)) == list(
            alone.reply([[chat.user("look")]], how)
        )
    assert list(extract.answer([Request([chat.user("look")], how, "update")])) == list(
        extract.reply([[chat.user("look")]], how)
    )
    judge = experts.expert("judge")
    assert judge.identity() == speaker_identity(student, HOLD)
    assert experts.identity()["experts"].keys() == {"extract", "update", "answer", "judge"}
    assert experts.identity() != judge.identity()
    talks = extract.conversations(1, Sampling(30, schema=FACTS))
    talks.start(0, seed=0)
    first = talks.reply({0: [chat.user("look")]})[0]
    assert first == next(extract.reply([[chat.user("look")]], Sampling(30, schema=FACTS)))
    second = [chat.user("look"), chat.assistant(first.text), chat.user("look")]
    reply = talks.reply({0: second})[0]
    assert reply.cut or "facts" in json.loads(reply.text)


def test_calls_share_one_cache_unless_they_overlap(experts, monkeypatch):
    made = []
    make = local.Generator
    monkeypatch.setattr(
        local, "Generator", lambda *a, **kw: made.append(kw["slots"]) or make(*a, **kw)
    )
    how = Sampling(5)
    one, two = experts.expert("extract"), experts.expert("answer")
    list(one.reply([[chat.user("look")]], how))
    made.clear()
    first = list(two.reply([[chat.user("look")]], how))
    assert made == []
    # The first of these is not done when the second begins.
    beside = one.reply([[chat.user(text)] for text in "abcd"], how)
    left = [next(beside)]
    assert list(two.reply([[chat.user("look")]], how)) == first
    left += list(beside)
    assert left == list(one.reply([[chat.user(text)] for text in "abcd"], how))
    assert len(made) <= 4


def test_one_adapter_under_two_names_is_held_once(student, folders):
    twice = open_experts(student, {"a": folders["extract"], "b": folders["extract"]}, HOLD)
    leaf = jax.tree.leaves(twice._opened.lora)[0]
    assert leaf.shape[1] == 2  # the base and the adapter
    assert twice.expert("a").identity() == twice.expert("b").identity()


def test_without_adapters_the_base_answers(student, tmp_path):
    bare = open_experts(student, {"extract": "", "answer": ""}, HOLD)
    with open_speaker(student, HOLD, record=tmp_path / "unused") as alone:
        chats = [[chat.user("look")]]
        assert list(bare.expert("answer").reply(chats, Sampling(9))) == list(
            alone.reply(chats, Sampling(9))
        )


@pytest.mark.parametrize("quantize", ["int8", "nf4"])
def test_experts_stand_on_a_quantised_base(student, folders, quantize, tmp_path):
    hold = Local(max_len=LENGTH, quantize=quantize)
    experts = open_experts(student, folders, hold)
    requests = [Request([chat.user("look")], Sampling(20), name) for name in folders]
    together = list(experts.answer(requests))
    for name, reply in zip(folders, together, strict=True):
        own = Local(adapter=folders[name], max_len=LENGTH, quantize=quantize)
        with open_speaker(student, own, record=tmp_path / "unused") as alone:
            assert next(alone.reply([[chat.user("look")]], Sampling(20))) == reply


@pytest.mark.parametrize(
    ("model", "experts", "hold", "says"),
    [
        ("", {"a": "nowhere"}, Local(), r"nowhere/adapter_config\.json"),
        ("openai:p", {"a": ""}, Local(), "openai:p: experts are adapters of a model that runs"),
        ("", {"": "x"}, Local(), "x: an expert needs a name"),
        ("", {}, Local(adapter="x"), "name it among the experts"),
    ],
)
def test_mistakes_are_sentences(student, model, experts, hold, says):
    with pytest.raises(UserError, match=says):
        open_experts(model or student, experts, hold)


def test_an_expert_that_is_not_there_is_named(experts):
    with pytest.raises(UserError, match="no expert 'extrakt'; the experts are: answer, extract"):
        experts.expert("extrakt")
    with pytest.raises(UserError, match="no expert 'x'"):
        next(experts.answer([Request([chat.user("a")], Sampling(5), "x")]))
    with pytest.raises(UserError, match=r"^schema: "):
        next(experts.answer([Request([chat.user("a")], Sampling(5, schema={"type": "x"}))]))


@pytest.mark.parametrize("draft", ["lookup", "base"])
def test_guesses_change_no_reply_beside_constrained_ones(
    student, experts, folders, requests, draft
):
    guessing = open_experts(
        student, folders | {"judge": ""}, dataclasses.replace(HOLD, draft=draft)
    )
    assert list(guessing.answer(requests)) == list(experts.answer(requests))
    assert guessing.guesses.made
    assert guessing.identity() == experts.identity()
