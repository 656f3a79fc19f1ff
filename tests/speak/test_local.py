"""Chats that a model in this process answers: each as if it were alone."""

import jax
import numpy as np
import pytest

from duomem_jax.lora.open import Opened
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model
from duomem_jax.records import chat
from duomem_jax.speak import local
from duomem_jax.speak.local import LocalSpeaker
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.room import Room
from duomem_jax.text.tokenizer import chat_tokens

MAX_LEN = 400
WORDS = ["room", "plate", "drawer", "pen", "fridge", "book"]


@pytest.fixture(scope="module")
def opened(tokenizers):
    """A random model that ends some replies early."""
    tokenizer = tokenizers["chatml"]
    model = Model(ModelConfig("qwen3", len(tokenizer), 16, 1, 2, 1, 8, 24, max_len=MAX_LEN))
    rng = np.random.default_rng(0)
    base = jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), model.shapes()["params"])
    base["embedding"][chat_tokens(tokenizer).end_id] *= 2.0
    return Opened(model, base, None, "random")


@pytest.fixture
def speaker(opened, tokenizers):
    room = Room("random", opened.model.config, MAX_LEN)
    return LocalSpeaker("random", opened, tokenizers["chatml"], {"model": "x"}, room)


@pytest.fixture(scope="module")
def chats():
    """Of several lengths and turns; one of them is too long."""
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, size=n)) for n in rng.integers(1, 30, size=14)]
    found = [[chat.user(text)] for text in texts]
    found[3] = [chat.system("Be brief."), *found[3]]
    found[5] = [*found[5], chat.assistant("Yes."), chat.user("And now?")]
    found.insert(7, [chat.user("room " * MAX_LEN)])
    return found


def test_replies_come_in_order_and_differ_in_length(speaker, chats):
    replies = list(speaker.reply(chats, Sampling(20, 1.0)))
    assert [i for i, r in enumerate(replies) if r is None] == [7]
    written = [r for r in replies if r is not None]
    lengths = {r.new_tokens for r in written}
    assert len(lengths) > 3
    assert {r.cut for r in written} == {True, False}
    assert all(r.cut == (r.new_tokens == 20) for r in written)
    ids = [len(speaker._chat.since(c)) for c in chats if c is not chats[7]]
    assert [r.prompt_tokens for r in written] == ids


def test_a_reply_depends_on_its_chat_and_seed_alone(speaker, chats, monkeypatch):
    how = Sampling(20, 1.0, seed=3)
    together = list(speaker.reply(chats, how))
    assert [next(speaker.reply([c], how)) for c in chats[:4]] == together[:4]
    assert list(speaker.reply(chats[::-1], how)) == together[::-1]
    monkeypatch.setattr(local, "rows_of_a_call", lambda: 2)
    monkeypatch.setattr(local, "WINDOW", 4)
    monkeypatch.setattr(local, "PIECE", 3)
    assert list(speaker.reply(chats, how)) == together
    assert list(speaker.reply(chats, Sampling(20, 1.0, seed=4))) != together


def test_a_row_whose_reply_ended_takes_the_next_chat(speaker, chats, monkeypatch):
    """Rows are refilled while others are still writing, so no round writes a single long reply."""
    monkeypatch.setattr(local, "rows_of_a_call", lambda: 2)
    monkeypatch.setattr(local, "PIECE", 2)
    rounds = []
    write = local.Generator.write

    def counted(self, slots, piece=0):
        rounds.append(len(slots))
        return write(self, slots, piece)

    monkeypatch.setattr(local.Generator, "write", counted)
    replies = list(speaker.reply(chats, Sampling(20, 1.0)))
    pieces = [-(-r.new_tokens // 2) for r in replies if r is not None]
    assert sum(rounds) == sum(pieces)
    assert rounds.count(1) <= max(pieces)  # at the very end alone


def test_a_window_of_chats_that_are_too_long_does_not_slow_the_next(speaker, chats, monkeypatch):
    """One generator serves all windows: its rows are those of a call, however few chats fit."""
    monkeypatch.setattr(local, "WINDOW", 4)
    made = []
    make = local.Generator
    monkeypatch.setattr(
        local, "Generator", lambda *a, **kw: made.append(kw["slots"]) or make(*a, **kw)
    )
    too_long = [[chat.user("room " * MAX_LEN)]] * 3
    replies = list(speaker.reply([*too_long, *chats[:3]], Sampling(20, 1.0)))
    assert made == [4]
    assert replies[3:] == list(speaker.reply(chats[:3], Sampling(20, 1.0)))


def test_chats_are_taken_a_window_at_a_time(speaker, chats, monkeypatch):
    monkeypatch.setattr(local, "WINDOW", 4)
    taken = []

    def lazily():
        for one in chats:
            taken.append(one)
            yield one

    replies = speaker.reply(lazily(), Sampling(5))
    assert taken == []
    next(replies)
    assert len(taken) == 4
    assert len(list(replies)) == len(chats) - 1


def test_a_conversation_reads_only_what_is_new(speaker, monkeypatch):
    """Its first reply is that of the chat alone; later turns count each token once."""
    talks, how = speaker.conversations(2, Sampling(12)), Sampling(12)
    read = []
    extend = local.Generator.extend
    monkeypatch.setattr(
        local.Generator,
        "extend",
        lambda self, new, shown: read.append(new[1]) or extend(self, new, shown),
    )
    said = [chat.system("Be brief."), chat.user("room plate")]
    talks.start(1, seed=0)
    first = talks.reply({1: said})[1]
    assert first == next(speaker.reply([said], how))
    assert read[0] == speaker._chat.since(said)
    said = [*said, chat.assistant(first.text), chat.user("drawer pen")]
    second = talks.reply({1: said})[1]
    assert read[1] == speaker._chat.next("drawer pen")
    assert second.prompt_tokens == first.prompt_tokens + first.new_tokens + len(read[1])
    talks.stop(1)


def test_a_conversation_that_no_longer_fits_is_told(speaker):
    talks = speaker.conversations(1, Sampling(12))
    talks.start(0, seed=0)
    said, replies = [], 0
    while replies < 50:
        said = [*said, chat.user("room plate " * 20)]
        if (reply := talks.reply({0: said})[0]) is None:
            break
        said, replies = [*said, chat.assistant(reply.text)], replies + 1
    assert 1 <= replies < 10
