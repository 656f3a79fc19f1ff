"""Patience and its limits, against a real server that fails as it is told."""

import time
from email.utils import formatdate

import pytest
from faulty_server import cut, hang, say, status, text, vanish

from duomem_jax.base.errors import UserError
from duomem_jax.speak.served.chat import read_reply
from duomem_jax.speak.served.http import Client, NotSentError, TooLongError
from duomem_jax.speak.served.server import Server

BODY = {"model": "parrot", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def ask(server):
    """Asks once; pauses are noted, not made."""
    clients = []

    def ask(**how):
        client = Client(Server(server.url, **how), sleep=ask.pauses.append)
        clients.append(client)
        return client.post("chat/completions", BODY, read_reply)

    ask.pauses = []
    yield ask
    for client in clients:
        client.close()


FAULTS = [
    status(429, "slow down"),
    status(500, "oops"),
    status(503),
    vanish,
    cut,
    text(""),
    text('{"choices": [{"message": {"content": "he'),
    text("<html>"),
    text("[" * 100_000),
    say([]),
    say({}),
    say({"choices": []}),
    say({"choices": [{"message": None}]}),
    say({"choices": [{"message": {"content": 3}}]}),
    say({"error": {"message": "overloaded"}}),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_transient_errors_are_retried_with_growing_pauses(server, ask, fault):
    server.faults = [fault, fault]
    answer = ask()
    assert (answer.value.text, answer.attempts) == ("heard: hello", 3)
    assert [r[2] for r in server.requests] == [BODY] * 3
    # It doubles from a second, with up to a second of jitter.
    assert [1 <= ask.pauses[0] <= 2, 2 <= ask.pauses[1] <= 3, len(ask.pauses)] == [True, True, 2]


def test_a_server_that_does_not_answer_in_time_is_asked_again(server, ask):
    server.faults = [hang(1)]
    start = time.monotonic()
    assert ask(timeout=0.1).attempts == 2
    assert time.monotonic() - start < 0.9


def test_the_server_says_how_long_to_wait(server, ask):
    in_a_minute = formatdate(time.time() + 60, usegmt=True)
    server.faults = [
        status(429, Retry_After="7"),
        status(503, Retry_After=in_a_minute),
        status(500, Retry_After="soon"),
        status(429, Retry_After="-1"),
    ]
    assert ask().attempts == 5
    seconds, date, unclear, none = ask.pauses
    assert 7 <= seconds <= 8
    assert 57 <= date <= 61
    assert 4 <= unclear <= 5
    assert 0 <= none <= 1


def test_a_wait_of_a_day_is_refused(server, ask):
    server.faults = [status(429, "daily quota", Retry_After="86400")]
    with pytest.raises(UserError, match=r"daily quota.*asked again in 86400 s"):
        ask()
    assert (len(server.requests), ask.pauses) == (1, [])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (status(429, "busy"), r"status 429 \('busy'\) in 3 attempts; .*per_minute"),
        (status(500, "oops"), r"status 500 \('oops'\) in 3 attempts"),
        (vanish, r"no answer \(RemoteProtocolError.* in 3 attempts; check the address"),
        (say({}), r"malformed answer \(no choices.* in 3 attempts; .*OpenAI-compatible"),
    ],
)
def test_the_last_attempt_ends_with_a_sentence(server, ask, fault, says):
    server.faults = [fault] * 9
    with pytest.raises(UserError, match=says):
        ask(attempts=3)
    assert (len(server.requests), len(ask.pauses)) == (3, 2)


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 422])
def test_permanent_errors_are_not_retried(server, ask, code):
    server.faults = [status(code, "no such model")]
    with pytest.raises(UserError, match=rf"status {code} .*no such model.* the model 'parrot'"):
        ask()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "This model's maximum context length is 128 tokens. However, you requested 200"),
        (400, '{"error": {"code": "context_length_exceeded"}}'),
        (400, "The decoder prompt (length 99) is longer than the maximum model length of 64"),
        (400, "request (99 tokens) exceeds the available context size (64 tokens)"),
        (422, "The input (99 tokens) is longer than the model's context length (64 tokens)."),
        (413, "prompt is too long: 99 tokens > 64 maximum"),
    ],
)
def test_a_prompt_beyond_the_context_length_has_its_own_error(server, ask, code, said):
    server.faults = [status(code, "x" * 400 + said)]
    with pytest.raises(TooLongError):
        ask()
    assert len(server.requests) == 1


def test_an_unreachable_server_is_a_sentence(ask, server):
    server.server_close()
    with pytest.raises(UserError, match=r"no answer \(ConnectError"):
        ask(attempts=2)
    server.shutdown()


def test_the_key_is_sent_and_never_shown(server, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " sk-secret\n")
    server.faults = [status(401, "Incorrect API key provided: sk-secret")]
    with pytest.raises(UserError) as error:
        ask()
    assert "sk-secret" not in str(error.value)
    assert server.requests[0][1]["Authorization"] == "Bearer sk-secret"


def test_without_a_key_no_authorization_is_sent(server, ask):
    ask()
    assert "Authorization" not in server.requests[0][1]


def test_requests_are_spaced_evenly(server):
    pauses = []
    client = Client(Server(server.url, per_minute=30), sleep=pauses.append)
    for _ in range(4):
        client.post("chat/completions", BODY, read_reply)
    client.close()
    # No pause is really made, so each request comes two seconds later than the one before.
    assert pauses == pytest.approx([2, 4, 6], abs=0.5)


def test_a_stopped_client_sends_nothing_more(server):
    client = Client(Server(server.url))
    client.stop()
    with pytest.raises(NotSentError):
        client.post("chat/completions", BODY, read_reply)
    client.close()
    assert server.requests == []
