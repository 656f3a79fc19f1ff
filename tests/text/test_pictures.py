"""Chats with pictures as tokens, against the processors of transformers for whole models."""

import json

import numpy as np
import pytest
from chats import CHATML, make_tokenizer
from seeing import letters_tokenizer, made_up, processor_of, reference_processor

from duomem_jax.base.errors import UserError
from duomem_jax.records import chat
from duomem_jax.text.template import TurnTemplate
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer


class Looking:
    """Spells pictures as a processor does, from their files."""

    def __init__(self, processor):
        self.processor = processor

    def expand(self, prompt, pictures):
        return self.processor.expand(prompt, [self.processor.grid(p["path"]) for p in pictures])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    made_up((60, 31)).save(folder / "wide.png")
    made_up((20, 20)).save(folder / "small.png")
    return [chat.picture(str(folder / name)) for name in ("wide.png", "small.png")]


def chats(wide, small):
    return [
        [chat.user([wide, chat.text("What is it?")])],
        [
            chat.system("Be brief."),
            chat.user([chat.text("see "), wide, small]),
            chat.assistant("Two."),
            chat.user("Sure?"),
            chat.assistant("Yes."),
            chat.user([small]),
        ],
        [
            chat.user("Hello."),
            chat.assistant("Hi."),
            chat.user([chat.text("Now: "), wide, chat.text(" and "), small, chat.text("?")]),
        ],
    ]


def in_parts(messages):
    """As these models' templates want all contents."""
    return [
        {
            **m,
            "content": [chat.text(m["content"])] if isinstance(m["content"], str) else m["content"],
        }
        for m in messages
    ]


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("name", ["smolvlm", "internvl"])
def test_ids_equal_those_of_the_processor_of_the_model(name, split, pictures):
    ours, theirs = processor_of(name, split=split)
    tokenizer, tokens = letters_tokenizer(name), ours.config.tile_tokens
    whole = reference_processor(name, theirs, tokenizer, tokens)
    for messages in chats(*pictures):
        want = whole.apply_chat_template(
            in_parts(messages),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            processor_kwargs={"crop_to_patches": split} if name == "internvl" else {},
        )["input_ids"]
        assert (
            chat_tokens(tokenizer).since(messages, sight=Looking(ours)) == np.ravel(want).tolist()
        )


@pytest.mark.parametrize("name", ["smolvlm", "internvl"])
def test_replies_are_learnt_and_pictures_are_not(name, pictures):
    ours, _ = processor_of(name, split=True)
    tokenizer = letters_tokenizer(name)
    tokens, sight = chat_tokens(tokenizer), Looking(ours)
    messages = [*chats(*pictures)[1], chat.assistant("One, and that is all.")]
    ((ids, mask, _),) = tokens.conversations([messages], sight)
    end = tokenizer.decode([tokens.end_id])
    learnt = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])
    # SmolVLM's template leaves the space before a reply to the model.
    said = [" " * (name == "smolvlm") + text for text in ("Two.", "Yes.", "One, and that is all.")]
    assert learnt == end.join([*said, ""])
    picture = tokenizer.convert_tokens_to_ids(ours.placeholder)
    assert not any(m for i, m in zip(ids, mask, strict=True) if i == picture)
    # In turns, what a cache is given is what training saw.
    appended = tokens.since(messages[:2], sight=sight)
    for turn in range(3, len(messages), 2):
        appended += tokens.reply(messages[turn - 1]["content"])
        appended += tokens.since(messages[: turn + 1], turn, sight)
    assert appended + tokens.reply(messages[-1]["content"]) == ids


def test_a_system_message_without_a_role_opens_the_first_message_with_pictures(pictures):
    folds = letters_tokenizer("internvl")
    folds.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        + (folds.chat_template)
    )
    template = TurnTemplate(folds)
    text = template.first([pictures[0], chat.text("What?")], "Be brief.")
    assert text == (
        "<|im_start|>user\nBe brief.\n\n<IMG_CONTEXT>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_tokenizer_without_sight_refuses_pictures(pictures):
    tokenizer = make_tokenizer(CHATML, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    with pytest.raises(UserError, match=r"a chat shows .*wide\.png, and only words are read here"):
        chat_tokens(tokenizer).conversations([[*chats(*pictures)[0], chat.assistant("Blue.")]])


def test_a_template_that_only_the_processor_has_is_found(tmp_path):
    tokenizer = letters_tokenizer("smolvlm")
    template, tokenizer.chat_template = tokenizer.chat_template, None
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load_tokenizer(tmp_path).chat_template == template
