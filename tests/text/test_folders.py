"""Tokenizers of folders that are incomplete or odd, and templates of the kinds that models have."""

import datetime
import json
import logging
import shutil

import pytest
import transformers.utils.chat_template_utils as rendering
from chats import CHATML, DEAF, GEMMA, SPECIAL, make_tokenizer

from duomem_jax.base.errors import UserError
from duomem_jax.models.shipped import model_folder
from duomem_jax.records import chat
from duomem_jax.text.template import TURNS
from duomem_jax.text.tokenizer import (
    ChatTokens,
    chat_tokens,
    check_ids,
    load_tokenizer,
    tokenizer_fingerprint,
)

DATED = "{{ '<|im_start|>system\nToday is ' + strftime_now('%-d %B %Y') + '<|im_end|>' }}" + CHATML
# As Llama 3.1 and later.
LLAMA_DATE = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}"
    "{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}"
    "{{ '<|im_start|>system\nToday Date: ' + date_string + '<|im_end|>' }}"
)
TALK = [chat.user("You see a desk 1."), chat.assistant("Action: go"), chat.user("ok")]
# As old Mistrals: the system text stands in the last user message.
LAST = (
    "{%- if messages[0]['role'] == 'system' %}{%- set s = messages[0]['content'] + '\n\n' %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set s = '' %}{%- endif %}"
    "{%- for m in messages %}{%- if m['role'] == 'user' %}"
    "{{ '<|im_start|>' + (s if loop.last else '') + m['content'] + '<|im_end|>' }}"
    "{%- else %}{{ m['content'] + '<|im_end|>' }}{%- endif %}{%- endfor %}"
)


@pytest.fixture
def folder(tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copyfile(model_folder("tiny-student") / name, tmp_path / name)
    return tmp_path


def configure(folder, **fields):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    "kind", ["Qwen2Tokenizer", "LlamaTokenizer", "GPT2Tokenizer", "GemmaTokenizer"]
)
def test_half_a_download_is_refused(folder, kind):
    """Of a folder without tokenizer.json transformers makes a tokenizer that drops all text."""
    (folder / "tokenizer.json").unlink()
    configure(folder, tokenizer_class=kind)
    with pytest.raises(UserError, match=r"special tokens only, as tokenizer\.json is missing"):
        load_tokenizer(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"model": 3}', "[" * 5000])
def test_a_damaged_tokenizer_is_refused(folder, text):
    # An empty config is no damage: what it could say has defaults, the chat template included.
    names = ["tokenizer.json", *(["tokenizer_config.json"] if text != "{}" else [])]
    for name in names:
        before = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(UserError, match=str(folder)):
            load_tokenizer(folder)
        (folder / name).write_text(before)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (3, "is no text"),
        (
            [{"name": "rag", "template": CHATML}, {"name": "tools", "template": CHATML}],
            "rag, tools",
        ),
        ([3], "no tokenizer could be loaded"),
    ],
)
def test_a_template_that_is_none_is_refused(folder, template, says):
    configure(folder, chat_template=template)
    with pytest.raises(UserError, match=says):
        load_tokenizer(folder)


@pytest.mark.parametrize("template", [None, "", [{"name": "default", "template": ""}]])
def test_a_model_without_a_template_gets_a_plain_one(folder, template):
    configure(folder, chat_template=template)
    tokenizer = load_tokenizer(folder)
    messages = [chat.system("Play."), chat.user("Hello?"), chat.assistant("Yes.")]
    end = tokenizer.eos_token
    whole = f"system\nPlay.{end}\nuser\nHello?{end}\nassistant\nYes.{end}\n"
    assert tokenizer.apply_chat_template(messages, tokenize=False) == whole
    ids = chat_tokens(tokenizer).since(messages[:2])
    assert tokenizer.decode(ids) == whole[: whole.index("Yes.")]
    assert chat_tokens(tokenizer).end_id == tokenizer.eos_token_id


def test_defaults_of_an_empty_config_are_checked_against_the_model(folder):
    (folder / "tokenizer_config.json").write_text("{}")
    tokenizer = load_tokenizer(folder)
    with pytest.raises(UserError, match="vocabulary ends at"):
        check_ids("model", tokenizer, 1078, chat_tokens(tokenizer).framing)


def test_without_a_template_and_an_end_no_chat_can_be_written(folder):
    configure(folder, chat_template=None, eos_token=None)
    with pytest.raises(UserError, match=r"no chat_template, and no eos_token"):
        load_tokenizer(folder)


def test_of_several_templates_the_default_is_used(folder):
    other = CHATML + "{{ 'x' }}"
    named = [{"name": "tools", "template": other}, {"name": "default", "template": CHATML}]
    configure(folder, chat_template=named)
    assert load_tokenizer(folder).chat_template == CHATML
    # As in transformers: a file of its own comes first.
    (folder / "chat_template.jinja").write_text(other)
    assert load_tokenizer(folder).chat_template == other


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}" + CHATML,
        "{{ foo.bar.baz }}" + CHATML,
        "{% for m in messages %}",
        "{{ messages[0].content[0].text.x }}" + CHATML,
        "{{ messages + 3 }}" + CHATML,
        "{% if messages | length > 8 %}{{ raise_exception('too long') }}{% endif %}" + CHATML,
        "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}" + CHATML,
    ],
)
def test_a_template_that_fails_is_one_sentence(template):
    with pytest.raises(UserError, match="its chat template refuses the messages"):
        ChatTokens(make_tokenizer(template, SPECIAL["chatml"]))


@pytest.mark.parametrize(
    "template",
    [
        "{% set messages = messages[-9:] %}" + CHATML,
        CHATML.replace(
            "m['role'] +", "m['role'] + (loop.index | string if loop.index > 9 else '') +"
        ),
    ],
)
def test_a_template_that_changes_in_long_chats_is_refused(template):
    with pytest.raises(UserError, match="turn by turn"):
        ChatTokens(make_tokenizer(template, SPECIAL["chatml"]))


def test_a_long_chat_is_the_template_s_own(tokenizers):
    long = [chat.user("a")] + [
        m for _ in range(TURNS) for m in (chat.assistant("b"), chat.user("c"))
    ]
    for name in ("chatml", "gemma"):
        tokenizer = tokenizers[name]
        want = tokenizer.apply_chat_template(long, tokenize=False, add_generation_prompt=True)
        assert tokenizer.decode(chat_tokens(tokenizer).since(long)) == want


@pytest.fixture
def on_day(monkeypatch):
    """Sets the clock that templates read."""

    def set_to(year, month, day):
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(year, month, day)

        monkeypatch.setattr(rendering, "datetime", Clock)

    return set_to


@pytest.mark.parametrize(
    ("template", "says"),
    [(DATED, "Today is 26 July 2024"), (LLAMA_DATE + CHATML, "Today Date: 26 Jul 2024")],
)
def test_prompts_do_not_depend_on_the_day(on_day, template, says):
    seen = set()
    for day in ((2026, 1, 2), (2031, 12, 30)):
        on_day(*day)
        tokenizer = make_tokenizer(template, SPECIAL["chatml"])
        rendered = tokenizer.apply_chat_template(TALK, tokenize=False)
        assert says not in rendered  # the clock is read by others
        ids = ChatTokens(tokenizer).since(TALK)
        assert says in tokenizer.decode(ids)
        seen.add((tuple(ids), tokenizer_fingerprint(tokenizer)))
    assert len(seen) == 1


def test_the_fingerprint_covers_what_the_template_prints():
    plain, same, other = (make_tokenizer(GEMMA, SPECIAL["gemma"]) for _ in range(3))
    other.bos_token = "<start_of_turn>"  # it is in neither the vocabulary nor the template
    assert tokenizer_fingerprint(plain) == tokenizer_fingerprint(same)
    assert tokenizer_fingerprint(plain) != tokenizer_fingerprint(other)


@pytest.mark.parametrize(
    ("template", "special"), [(GEMMA, "gemma"), (DEAF, "chatml"), (LAST, "chatml")]
)
def test_a_system_message_without_a_role_opens_the_first_user_message(template, special, caplog):
    """What is packed and what is played are the same ids: those of the folded chat."""
    tokenizer = make_tokenizer(template, SPECIAL[special])
    chats = ChatTokens(tokenizer)
    told = [chat.system(" Be brief. "), *TALK]
    folded = [chat.user(f"Be brief.\n\n{TALK[0]['content']}"), *TALK[1:]]
    with caplog.at_level(logging.INFO, "duomem_jax"):
        played = chats.since(told)
    assert "the system message opens the first user message" in caplog.text
    want = tokenizer.apply_chat_template(folded, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(played) == want
    packed = chats.conversations([[*told, chat.assistant("Action: look")]])[0].tokens
    assert packed[: len(played)] == played
    assert chats.first(TALK[0]["content"], "Be brief.") == played[: len(chats.since(told[:2]))]


def test_a_template_that_rewrites_the_system_message_is_refused():
    template = "{{ messages[0]['content'] | upper if messages[0]['role'] == 'system' }}" + DEAF
    with pytest.raises(UserError, match="rewrites the system message"):
        ChatTokens(make_tokenizer(template, SPECIAL["chatml"])).first("a", "Be brief.")


def test_ids_beyond_the_model_are_refused_unless_no_chat_has_them(tokenizers):
    tokenizer = make_tokenizer(CHATML, SPECIAL["chatml"])
    size = len(tokenizer)
    check_ids("m", tokenizer, size)
    check_ids("m", tokenizer, size + 100)  # a padded head
    with pytest.raises(UserError, match=rf"m: the tokenizer's token .* has id {size - 1}, .*"):
        check_ids("m", tokenizer, size - 1)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    check_ids("m", tokenizer, size)
    tokenizer.add_tokens(["word"])
    with pytest.raises(UserError, match="token 'word' has id"):
        check_ids("m", tokenizer, size)
