"""Every token that a folder's generation config names ends a reply, as in transformers."""

import json
import shutil

import pytest
from families import make_model

from duomem_jax.base.errors import UserError
from duomem_jax.models.hf import end_tokens
from duomem_jax.models.shipped import model_folder
from duomem_jax.records import chat
from duomem_jax.speak import Local, Sampling, speaker_identity
from duomem_jax.speak.open import load_speaker
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer

MAX_NEW = 24
FIRST, SECOND = [chat.user("Look around.")], chat.user("And now?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model with the tiny student's tokenizer, which all but never ends a reply."""
    folder = tmp_path_factory.mktemp("model")
    make_model("qwen3", folder, std=0.3, vocab_size=1088)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model_folder("tiny-student") / name, folder / name)
    return folder


def configure(folder, eos):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))


def theirs(folder, ids):
    """What transformers writes after `ids`, without the prompt."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    prompt = torch.tensor([ids])
    made = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=MAX_NEW,
        do_sample=False,
        pad_token_id=0,
    )
    return made[0, len(ids) :].tolist()


def ours(folder, chats):
    """Ids of the replies, as a conversation goes on through `chats`."""
    speaker = load_speaker(str(folder))
    talks = speaker.conversations(1, Sampling(MAX_NEW))
    talks.start(0, seed=0)
    generator, replies = talks._generator, []
    write = generator.write
    generator.write = lambda *args: replies.append(write(*args)) or replies[-1]
    for one in chats:
        talks.reply({0: one})
    return [reply[0] for reply in replies]


def test_any_of_several_end_tokens_ends_a_reply(folder):
    tokens = chat_tokens(load_tokenizer(folder))
    end = tokens.end_id
    configure(folder, [end])
    prompt = tokens.since(FIRST)
    long = theirs(folder, prompt)
    assert len(long) == MAX_NEW
    other = long[5]
    stop = long.index(other)
    configure(folder, [end, other])
    want = theirs(folder, prompt)
    assert want == long[: stop + 1]
    talk = [*FIRST, chat.assistant("x"), SECOND]
    first, second = ours(folder, [FIRST, talk])
    assert first == [*want[:-1], end]
    # A later turn reads the end of turn that training saw, whichever token it was.
    assert second[:-1] == theirs(folder, [*prompt, *first, *tokens.next(SECOND["content"])])[:-1]
    configure(folder, other)
    assert ours(folder, [FIRST])[0] == first


def test_the_end_tokens_belong_to_a_speaker_s_identity(folder):
    configure(folder, [3])
    before = speaker_identity(str(folder), Local())
    configure(folder, [3, 4])
    assert speaker_identity(str(folder), Local()) != before


@pytest.mark.parametrize(
    ("config", "generation", "want"),
    [
        ({"eos_token_id": 3}, None, (3,)),
        ({"eos_token_id": [3, 5]}, None, (3, 5)),
        ({"eos_token_id": 3}, {"eos_token_id": [4, 5]}, (4, 5)),
        ({"eos_token_id": None}, {"eos_token_id": 0}, (0,)),
        ({"eos_token_id": 3}, {}, ()),
        ({}, None, ()),
    ],
)
def test_where_end_tokens_are_read(tmp_path, config, generation, want):
    (tmp_path / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert end_tokens(tmp_path) == want


@pytest.mark.parametrize("eos", ["</s>", 1.0, True, -1, [[1]], ["x"], {"a": 1}, 10**30])
def test_end_tokens_that_are_none_are_refused(tmp_path, eos):
    configure(tmp_path, eos)
    with pytest.raises(UserError, match=r"generation_config\.json: field eos_token_id is"):
        end_tokens(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_a_generation_config_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "generation_config.json").write_text(text)
    with pytest.raises(UserError, match=r"generation_config\.json: "):
        end_tokens(tmp_path)
