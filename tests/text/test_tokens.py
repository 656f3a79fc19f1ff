"""Masks and appended turns against the template's own rendering of prefixes."""

import dataclasses
import itertools

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import episode_messages, parse_action

THINK = "<think>\n\n</think>\n\n"


def render(tokenizer, messages, **kw):
    """Token ids of the template's rendering, with Qwen3's think block kept in every turn."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, **kw)
    if "enable_thinking" in tokenizer.chat_template:
        header = "<|im_start|>assistant\n"
        text = text.replace(header + THINK, header).replace(header, header + THINK)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def reference(tokenizer, messages, end_id):
    """Token ids and mask from whole renderings of prefixes only."""
    tail = {"role": "user", "content": "tail"}
    ids = render(tokenizer, [*messages, tail])
    mask = [0] * len(ids)
    for k, message in enumerate(messages):
        if message["role"] == "assistant":
            start = len(render(tokenizer, messages[:k], add_generation_prompt=True))
            end = ids.index(end_id, start) + 1
            mask[start:end] = [1] * (end - start)
    return ids[:end], mask[:end]


@pytest.mark.parametrize("name", ["chatml", "qwen3", "gemma"])
@pytest.mark.parametrize("system", ["", "You play text games."])
def test_conversations_equal_the_rendered_prefixes(tokenizers, episodes, name, system):
    if name == "gemma" and system:
        pytest.skip("the template has no system role")
    tokenizer = tokenizers[name]
    end_id = tokenizer.convert_tokens_to_ids("<end_of_turn>" if name == "gemma" else "<|im_end|>")
    assert chat_tokens(tokenizer).end_id == end_id
    for episode in episodes:
        messages = episode_messages(episode, system=system, guidelines="Guidelines:\n[1]")
        ids, mask, _ = encoded(tokenizer, messages)
        assert (ids, mask) == reference(tokenizer, messages, end_id)
        learnt = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])
        end = tokenizer.convert_ids_to_tokens(end_id)
        assert learnt == "".join(m["content"] + end for m in messages if m["role"] == "assistant")


@pytest.mark.parametrize("name", ["chatml", "qwen3", "gemma"])
def test_replies_that_are_not_learnt_are_read_all_the_same(tokenizers, episodes, name):
    episode = max(episodes, key=lambda e: len(e.turns))
    turns = [dataclasses.replace(t, learnt=i % 2 > 0) for i, t in enumerate(episode.turns)]
    half = dataclasses.replace(episode, turns=tuple(turns))
    ids, mask, _ = encoded(tokenizers[name], episode_messages(half))
    same, whole, _ = encoded(tokenizers[name], episode_messages(episode))
    assert ids == same
    # Replies are the runs of ones of the whole mask; each second of them falls away.
    starts = [i for i, (a, b) in enumerate(itertools.pairwise([0, *whole])) if b > a]
    for start, end, turn in zip(starts, [*starts[1:], len(ids)], turns, strict=True):
        assert mask[start:end] == (whole[start:end] if turn.learnt else [0] * (end - start))


def encoded(tokenizer, messages):
    return chat_tokens(tokenizer).conversations([messages])[0]


@pytest.mark.parametrize("name", ["chatml", "qwen3", "gemma"])
def test_first_next_and_reply_append_to_the_same_conversation(tokenizers, episodes, name):
    tokenizer = tokenizers[name]
    chat = chat_tokens(tokenizer)
    messages = episode_messages(episodes[3], guidelines="G")
    ids = chat.first(messages[0]["content"])
    for k in range(1, len(messages)):
        if k % 2:
            assert ids == render(tokenizer, messages[:k], add_generation_prompt=True)
        append = chat.reply if k % 2 else chat.next
        ids += append(messages[k]["content"])
    assert ids == encoded(tokenizer, messages)[0]


def test_conversations_strip_contents(tokenizers):
    plain = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    spaced = [{"role": "user", "content": " a\n"}, {"role": "assistant", "content": "\nb "}]
    for name in ("chatml", "gemma"):
        assert encoded(tokenizers[name], plain) == encoded(tokenizers[name], spaced)


def test_template_that_rewrites_earlier_turns_is_refused(tokenizers):
    with pytest.raises(UserError, match="turn by turn"):
        chat_tokens(tokenizers["moving"])


def test_first_reply_of_qwen3_begins_as_its_template_says(tokenizers):
    tokenizer = tokenizers["qwen3"]
    message = [{"role": "user", "content": "a"}]
    text = tokenizer.apply_chat_template(
        message, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    assert tokenizer.decode(chat_tokens(tokenizer).first("a")) == text


def test_model_that_always_thinks_is_refused(tokenizers):
    with pytest.raises(UserError, match="begin without thinking"):
        chat_tokens(tokenizers["thinking"])


def test_end_of_turn_inside_a_reply_is_refused(tokenizers):
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b<|im_end|>c"}]
    with pytest.raises(UserError, match="end-of-turn"):
        encoded(tokenizers["chatml"], chat)


def test_conversations_refuse_roles_out_of_turn(tokenizers):
    with pytest.raises(ValueError, match="expected a message of the assistant"):
        encoded(tokenizers["chatml"], [{"role": "user", "content": "a"}] * 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thought: go\nAction: look", ("go", "look")),
        ("Thought: a\nAction: x\nAction: open box 1 \nmore", ("a\nAction: x", "open box 1")),
        ("no command here", ("no command here", "")),
        ("Thought: t\nAction:", ("t", "")),
        ("Action:\n\n take pen 1", ("", "take pen 1")),
        ("", ("", "")),
    ],
)
def test_parse_action(text, expected):
    assert parse_action(text) == expected


def test_parse_action_undoes_the_rendering(episodes):
    for episode in episodes:
        replies = [m["content"] for m in episode_messages(episode) if m["role"] == "assistant"]
        assert [parse_action(r) for r in replies] == [(t.thought, t.action) for t in episode.turns]
