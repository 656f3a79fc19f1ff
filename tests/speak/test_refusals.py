"""What refusals mean, as the common servers word them, against a server that says it."""

import json

import pytest
from faulty_server import completion, say, status

from duomem_jax.base.errors import UserError
from duomem_jax.speak.served.chat import read_reply
from duomem_jax.speak.served.http import Client, TooLongError
from duomem_jax.speak.served.server import Server

BODY = {
    "model": "my-context_length-model",
    "messages": [{"role": "user", "content": "prompt is too long: context length exceeded"}],
    "max_tokens": 128,
    "temperature": 0,
}


def error(message, **fields):
    return json.dumps({"error": {"message": message, "type": "BadRequestError"} | fields})


@pytest.fixture
def client(server):
    client = Client(Server(server.url, attempts=2), sleep=lambda seconds: None)
    yield client
    client.close()


def post(client, body=BODY):
    return client.post("chat/completions", body, read_reply)


# The key phrase of each server, in sentences of ours; numbers are made up.
TOO_LONG = {
    "OpenAI": (400, error("Too much.", code="context_length_exceeded", param="messages")),
    "Azure": (400, json.dumps({"error": {"innererror": {"code": "context_length_exceeded"}}})),
    "OpenAI, account": (
        429,
        error(
            "Request too large for m: Limit 10000, Requested 12,000.", code="rate_limit_exceeded"
        ),
    ),
    "vLLM": (400, error("This model's maximum context length is 4096 tokens, not 5000.")),
    "vLLM, flat": (
        400,
        json.dumps({"object": "error", "message": "maximum context length is 9 tokens"}),
    ),
    "vLLM engine": (400, error("The decoder prompt is longer than the maximum model length of 9.")),
    "vLLM, room below 1": (400, error("max_tokens must be at least 1, got -7584. (parameter=x)")),
    "vLLM, no room": (400, error("max_tokens must be at least 1, got 0.")),
    "vLLM, reply too long for the room": (
        400,
        error(
            "'max_tokens' or 'max_completion_tokens' is too large: 128. This model's maximum "
            "context length is 4096 tokens and your request has 4000 (128 > 4096 - 4000)."
        ),
    ),
    "vLLM 0.1x": (400, error("Input length (5000) exceeds model's maximum context length (4096).")),
    "SGLang": (400, error("The input (9 tokens) is longer than the model's context length (8).")),
    "SGLang, total": (
        400,
        error("Requested token count exceeds the model's maximum context length of 8 tokens."),
    ),
    "SGLang, allowed": (
        400,
        error("Input length (5000 tokens) exceeds the maximum allowed length (4090 tokens)."),
    ),
    "llama.cpp": (400, error("It does not fit.", type="exceed_context_size_error")),
    "llama.cpp, old": (400, error("the request exceeds the available context size, increase it")),
    "TGI": (
        422,
        json.dumps(
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 9.",
                "error_type": "validation",
            }
        ),
    ),
    "TEI": (413, json.dumps({"error": "`inputs` must have less than 512 tokens. Given: 600"})),
    "TensorRT-LLM": (
        400,
        error("default_max_tokens (-120) should be greater than 0, (-120) = max_seq_len (9) - 129"),
    ),
    "TensorRT-LLM, executor": (
        500,
        error("Prompt length (4216) exceeds maximum input length (4096)."),
    ),
    "TensorRT-LLM, sum": (
        400,
        error(
            "The sum of prompt length (9), query length (0) should not exceed max_num_tokens (8)"
        ),
    ),
    "Gemini": (
        400,
        json.dumps(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (12) exceeds the maximum number of "
                        "tokens allowed (10).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ]
        ),
    ),
    "Anthropic": (400, error("prompt is too long: 210000 tokens > 200000 maximum")),
    "Mistral": (
        400,
        json.dumps({"message": "Prompt contains 9 tokens, too large for model with 8"}),
    ),
    "LM Studio": (
        400,
        error("Trying to keep 9 tokens when context the overflows. It is loaded with 8."),
    ),
    "Ollama": (400, error("the input length exceeds the context length")),
    "Ollama, 500": (500, error("input length exceeds maximum context length")),
    "LMDeploy": (400, error("input_length 5000 is larger than max_model_len 4096")),
    "xAI": (400, error("This model's maximum prompt length is 131072 but it contains 537812.")),
    "Cohere": (400, json.dumps({"message": "total tokens in the prompt cannot exceed 4081"})),
    "Moonshot": (400, error("Your request exceeded model token limit: 8192")),
    "Groq": (400, error("Please reduce the length of the messages or completion.")),
    "Bedrock": (400, error("Input is too long for requested model.")),
    "Anthropic, with the reply": (
        400,
        error("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    ),
    "MLC": (400, error("A prompt of 9 tokens, larger than the model input length limit 8.")),
    "LM Studio, tokens to keep": (
        400,
        error("The number of tokens to keep is greater than the context length (9 > 8)."),
    ),
    "LiteLLM": (400, error("no", type="ContextWindowExceededError")),
    "a proxy": (413, "<html>Request Entity Too Large</html>"),
}


@pytest.mark.parametrize("said", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize("model", [BODY["model"], "m", "model"])
def test_too_long_in_the_words_of_each_server(server, client, said, model):
    server.faults = [status(*said)]
    with pytest.raises(TooLongError):
        post(client, BODY | {"model": model})
    assert len(server.requests) == 1


def test_too_long_as_if_all_were_well(server, client):
    server.faults = [say({"error": {"code": 400, "message": "prompt is too long: 9 > 8"}})]
    with pytest.raises(TooLongError, match="9 > 8"):
        post(client)


MISTAKES = {
    "model": (404, error(f"The model `{BODY['model']}` does not exist.", code="model_not_found")),
    "model of long context": (400, error("Model my-context_length-model exceeds your plan.")),
    "prompt sent back": (
        422,
        json.dumps({"detail": [{"type": "missing", "msg": "Field required", "input": BODY}]}),
    ),
    "reply beyond the model": (
        400,
        error("max_tokens is too large: 128. This model supports at most 64 completion tokens."),
    ),
    "reply beyond the context": (
        400,
        error("'max_tokens' is too large: 128. This model's maximum context length is 64 tokens."),
    ),
    "most new tokens": (400, error("max_tokens (128) exceeds the maximum number of tokens (64).")),
    "a limit in passing": (400, error("Set max_model_len below the context length to use x.")),
    "a key": (401, error("The context length of your key is 12.")),
    "temperature beyond its range": (
        400,
        error("Invalid 'temperature': expected a value <= 2, but got 3.", param="temperature"),
    ),
}


@pytest.mark.parametrize("said", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_not_taken_for_long_prompts(server, client, said):
    server.faults = [status(*said)]
    with pytest.raises(UserError, match=rf"status {said[0]} .*check the address"):
        post(client)
    assert len(server.requests) == 1


def test_a_reply_of_no_tokens_is_a_mistake(server, client):
    server.faults = [status(400, error("max_tokens must be at least 1, got 0."))]
    with pytest.raises(UserError, match="at least 1, got 0"):
        post(client, BODY | {"max_tokens": 0})


def test_a_budget_that_is_used_up_is_waited_for(server, client):
    server.faults = [status(429, error("Rate limit: Limit 10000, Used 9999, Requested 120."))]
    assert post(client).attempts == 2


OTHER_NAME = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."
NOT_TAKEN = {
    "OpenAI, max_tokens": (
        "max_tokens",
        400,
        error(OTHER_NAME, code="unsupported_parameter", param="max_tokens"),
    ),
    "in words alone": ("max_tokens", 400, OTHER_NAME),
    "OpenAI, temperature": (
        "temperature",
        400,
        error("It does not support 0.", code="unsupported_value", param="temperature"),
    ),
    "deprecated": ("temperature", 400, error("`temperature` is deprecated for this model.")),
    "Mistral": (
        "seed",
        422,
        json.dumps({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "x"}]}),
    ),
    "Gemini": ("seed", 400, error('Unknown name "seed": Cannot find field.')),
    "Groq": ("seed", 400, error("property 'seed' is unsupported")),
}


@pytest.mark.parametrize(("name", "code", "said"), NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_parameter_that_is_not_taken_is_asked_for_otherwise(
    server, client, caplog, name, code, said
):
    caplog.set_level("INFO", logger="duomem_jax")
    body = BODY | {"seed": 7}
    server.faults = [status(code, said)]
    assert post(client, body).attempts == 1
    assert post(client, body).value.text.startswith("heard: ")
    refused, *others = [r[2] for r in server.requests]
    assert (refused, len(others)) == (body, 2)
    expected = {k: v for k, v in body.items() if k != name}
    if name == "max_tokens":
        expected["max_completion_tokens"] = 128
    assert others == [expected] * 2
    assert caplog.text.count(f"does not take {name}") == 1


def test_all_of_them_at_once(server, client):
    """As OpenAI's reasoning models: one refusal after another."""
    server.faults = [
        status(*NOT_TAKEN[n][1:]) for n in ("in words alone", "OpenAI, temperature", "Groq")
    ]
    post(client, BODY | {"seed": 1})
    last = server.requests[-1][2]
    assert last["max_completion_tokens"] == 128
    assert not {"max_tokens", "temperature", "seed"} & set(last)


def test_the_other_name_is_tried_once(server, client):
    server.faults = [status(400, OTHER_NAME), status(400, OTHER_NAME)]
    with pytest.raises(UserError, match="status 400"):
        post(client)
    assert len(server.requests) == 2


def test_content_in_parts_is_joined():
    parts = [{"type": "thinking", "thinking": []}, {"text": "Action: "}, {"text": "look"}]
    assert read_reply(completion(parts)).text == "Action: look"
