"""Schemas asked of servers, and of those that do not take them."""

import json
import logging

import pytest
from faulty_server import completion, status
from jsonschema import Draft202012Validator

from duomem_jax.records import chat
from duomem_jax.speak import Request, Sampling, open_speaker, parse
from duomem_jax.speak.served.chat import chat_request
from duomem_jax.speak.served.server import Server

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
HOW = Sampling(9, schema=SCHEMA)

# As OpenAI and Azure (an older model; a keyword of the schema), Groq, DeepSeek, llama.cpp, LM
# Studio, vLLM and FastAPI say it.
REFUSALS = [
    {
        "error": {
            "message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported"
            " with this model.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    },
    {
        "error": {
            "message": "Invalid schema for response_format 'reply': In context=(), 'maxLength' is"
            " not permitted.",
            "type": "invalid_request_error",
            "param": "response_format",
            "code": None,
        }
    },
    {"error": {"message": "This model does not support response format `json_schema`."}},
    {"error": {"message": "This response_format type is unavailable now", "param": None}},
    {"error": 'response_format type must be one of "text" or "json_object", but got: json_schema'},
    {"error": "'response_format.type' must be 'text'"},
    {"message": "The provided JSON schema contains features not supported by xgrammar."},
    {"detail": [{"loc": ["body", "response_format", "json_schema"], "msg": "Extra inputs"}]},
]


def honest(body):
    """Answers in the form that it was asked for, otherwise in prose."""
    if "response_format" in body:
        assert body["response_format"]["type"] == "json_schema"
        return completion('{"n": 3}')
    return completion("The answer:\n```json\n{'n': 3}\n```")


@pytest.fixture
def ask(server, tmp_path):
    server.answer = honest

    def ask(texts, how=HOW):
        with open_speaker("openai:p", server=Server(server.url), record=tmp_path / "r") as speaker:
            return list(speaker.answer(Request([chat.user(t)], how, "extract") for t in texts))

    return ask


def test_the_schema_is_asked_for_and_paid_once(server, ask):
    (reply,) = ask(["a"])
    assert parse(reply, SCHEMA).value == {"n": 3}
    sent = server.requests[0][2]["response_format"]["json_schema"]
    assert sent == {"name": "reply", "schema": SCHEMA, "strict": True}
    Draft202012Validator.check_schema(sent["schema"])
    assert ask(["a"]) == [reply]
    assert len(server.requests) == 1
    # Another form is another question, and so is none.
    ask(["a"], Sampling(9, schema=SCHEMA | {"title": "other"}))
    ask(["a"], Sampling(9))
    assert len(server.requests) == 3
    assert "response_format" not in server.requests[-1][2]


@pytest.mark.parametrize("status_code", [400, 422])
@pytest.mark.parametrize("refusal", REFUSALS, ids=range(len(REFUSALS)))
def test_a_server_that_does_not_take_it_is_asked_without(server, ask, refusal, status_code, caplog):
    server.faults = [status(status_code, json.dumps(refusal))]
    with caplog.at_level(logging.INFO):
        replies = ask(["a", "b", "c"])
    assert [parse(r, SCHEMA).value for r in replies] == [{"n": 3}] * 3
    assert {parse(r, SCHEMA).how for r in replies} <= {"strict", "repaired"}
    assert sum("does not take response_format" in line for line in caplog.messages) == 1
    # The answer is kept under what was asked for, so that it is found again.
    count = len(server.requests)
    assert ask(["a", "b", "c"]) == replies
    assert len(server.requests) == count


def test_a_refusal_of_something_else_is_not_taken_for_one(server, ask):
    refusal = {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed"}}
    server.faults = [status(400, json.dumps(refusal))]
    (reply,) = ask(["a"], Sampling(9, 1.0, 4, SCHEMA))
    assert parse(reply, SCHEMA).how == "strict"
    assert "seed" not in server.requests[-1][2]
    assert "response_format" in server.requests[-1][2]


def test_the_name_of_a_question_without_a_schema_has_not_changed():
    """Answers that were paid before there were schemas are found."""
    asked = chat_request("parrot", [chat.user("hello")], Sampling(9))
    assert asked.key == "4dae0e668e3b6fe8fa3da1ed724f4ef0997539a809ecd4ac708b8e9081388501"
