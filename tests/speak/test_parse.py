"""JSON out of what models write: read, repaired or rejected, and always said which."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from duomem_jax.base.errors import UserError
from duomem_jax.speak.parse import parse
from duomem_jax.speak.protocol import Reply

FACT = {
    "type": "object",
    "properties": {"turn": {"type": "string"}, "text": {"type": "string", "minLength": 1}},
    "required": ["turn", "text"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": FACT}},
    "required": ["facts"],
    "additionalProperties": False,
}
VALUE = {"facts": [{"turn": "D1:1", "text": 'Ana said "</think>" and {[ 猫 😀'}]}
TEXT = json.dumps(VALUE)


def parsed(text, *, cut=False, schema=SCHEMA):
    return parse(Reply(text, cut, 0, 0), schema)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        json.dumps(VALUE, indent=2, ensure_ascii=False) + "\n",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}```",
        f"<think>A list: [1, 2] {{}}</think>\n{TEXT}",
        f"<thought>\nWhat now?\n</thought>\n\n```JSON\n{TEXT}\n```\n",
        f"<think>a</think> <Reasoning>b</Reasoning> {TEXT}",
        f"|startthink|hm|endthink|{TEXT}",
        f"so I do that\n</think>\n{TEXT}",  # the template has opened it
    ],
)
def test_wrapped_json_is_read_strictly(text):
    assert parsed(text) == parsed(TEXT)
    assert (parsed(text).value, parsed(text).how, parsed(text).why) == (VALUE, "strict", "")


@pytest.mark.parametrize(
    "text",
    [
        f"Here is the JSON:\n{TEXT}",
        f"{TEXT}\nI hope that helps {{}}!",
        f"Sure!\n```json\n{TEXT}\n```\nDone.",
        f"{TEXT} {TEXT}",
        TEXT[:-2] + ",]}",
        TEXT[:-2],
        str({"facts": [{"turn": "D1:1", "text": "x"}]}),
        '{facts: [{"turn": "D1:1", "text": "x"}]}',
    ],
)
def test_what_a_library_can_repair_is_told(text):
    found = parsed(text)
    assert found.how == "repaired"
    assert found.why
    assert [f["turn"] for f in found.value["facts"]] == ["D1:1"]


# The numbers are those of notes on what others' users have reported.
REJECTED = {
    "1 no JSON": ("I did not find anything.", "no JSON in"),
    "5 a list": (json.dumps(VALUE["facts"]), "is not of type 'object'"),
    "5 a list around": (f"[{TEXT}]", "is not of type 'object'"),
    "6 brackets of prose": ("[no facts] here {at all", "type 'object'|repaired"),
    "7 empty": ("", "is empty"),
    "7 blank": ("  \n", "is empty"),
    "7 an empty fence": ("```json\n\n```", "no JSON"),
    "8 a field lacks": ('{"facts": [{"turn": "D1:1"}]}', "'text' is a required property"),
    "9 thought alone": ("<thought>Ana likes cats", "nothing but reasoning"),
    "11 reasoning alone": ('<think>I write {"facts": []}</think>', "nothing but reasoning"),
    "12 the schema": (json.dumps(SCHEMA), "is the schema"),
    "12 its definitions": ('{"$defs": {}, "facts": []}', "is the schema"),
    "13 another key": ('{"facts": [{"turn": "D1:1", "fact": "x"}]}', "'text' is a required"),
    "13 a key of the whole": ('{"memories": []}', "facts|memories"),
    "14 a dict for a string": (
        '{"facts": [{"turn": "D1:1", "text": {"a": "b"}}]}',
        "facts.0.text: .* is not of type 'string'",
    ),
    "14 a number for a string": ('{"facts": [{"turn": 1, "text": "x"}]}', "facts.0.turn"),
    "15 no arguments": ("{}", "'facts' is a required property"),
    "an empty text": ('{"facts": [{"turn": "D1:1", "text": ""}]}', "facts.0.text"),
    "null": ("null", "not of type 'object'"),
    "twice": ('{"facts": [], "facts": []}', "'facts' is there twice"),
    "no number": ('{"facts": NaN}', "NaN is no number"),
    "half a letter": ('{"facts": [{"turn": "D1:1", "text": "\\ud83d"}]}', "no text can hold"),
    "nested too deep": ("[" * 100_000, "nested too deep|cannot be repaired"),
    "digits": ('{"facts": ' + "1" * 5000 + "}", "cannot be read"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_does_not_fit_is_rejected_with_the_reason(name):
    text, why = REJECTED[name]
    found = parsed(text)
    assert (found.value, found.how) == (None, "rejected")
    assert found.why
    assert len(found.why) < 300
    assert re.search(why, found.why)


def test_no_facts_are_a_good_answer():
    assert parsed('{"facts": []}').value == {"facts": []}


def test_a_reply_that_was_cut_is_not_completed():
    """What a library would make of it says half of what was meant."""
    assert parsed(TEXT[:-9], cut=True).how == "rejected"
    assert "ran out of tokens" in parsed(TEXT[:-9], cut=True).why
    assert parsed(TEXT, cut=True).how == "strict"


def test_a_schema_that_is_none_is_a_sentence():
    with pytest.raises(UserError, match=r"^schema: "):
        parsed(TEXT, schema={"type": "strin"})


PIECES = [*"{}[]:,\"\\1- \n'#猫", "facts", "turn", "text", "e9", "\\u", "d83d", "/*", "//", "NaN"]
PIECES += ["<think>", "</think>", "```", "json", TEXT]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.booleans())
def test_any_text_has_a_verdict(text, cut):
    found = parsed(text, cut=cut)
    assert (found.how == "rejected") == (found.value is None)
    assert (found.how == "strict") == (not found.why)
    if found.value is not None:
        Draft202012Validator(SCHEMA).validate(found.value)


def test_a_long_text_is_not_repaired():
    """The library's time grows with the square of the length."""
    assert parsed(TEXT[:-2] + "," * 100).how == "repaired"
    assert "is too long" in parsed(TEXT[:-2] + "," * 20_000).why


@pytest.mark.parametrize("part", ["{", '["a" "b" ', '{"facts": ["', "<think>", "[{,:", '{"a":"'])
def test_long_nonsense_does_not_hang(part):
    start = time.process_time()
    assert parsed(part * 20_000).how == "rejected"
    assert time.process_time() - start < 2
