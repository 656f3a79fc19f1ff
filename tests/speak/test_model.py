"""Many questions at once: in order, bounded, paid once, and counted."""

import json
import threading
import time

import pytest
from faulty_server import parrot, status

from duomem_jax.base.errors import UserError
from duomem_jax.records import chat
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.chat import chat_request
from duomem_jax.speak.served.ledger import Ledger
from duomem_jax.speak.served.model import AHEAD, ServedModel
from duomem_jax.speak.served.server import Server


def question(word, **how):
    return chat_request("parrot", [chat.user(word)], Sampling(**{"max_new": 9} | how))


WORDS = [f"word {i}" for i in range(40)]


@pytest.fixture
def open_model(server, tmp_path):
    def open_model(**how):
        return ServedModel("parrot", Server(server.url, **how), tmp_path / "served")

    return open_model


def heard(model, words):
    return [reply.text for reply in model.ask(map(question, words))]


def usage(tmp_path):
    return json.loads((tmp_path / "served.usage.json").read_text())


def test_answers_are_in_order_whatever_order_they_come_in(server, open_model):
    def slow_at_first(body):
        time.sleep(0.05 if body["messages"][0]["content"] in WORDS[:3] else 0)
        return parrot(body)

    server.answer = slow_at_first
    with open_model(concurrency=4) as model:
        assert heard(model, WORDS) == [f"heard: {w}" for w in WORDS]
    assert len(server.requests) == len(WORDS)


@pytest.mark.parametrize("concurrency", [1, 5])
def test_concurrency_is_the_number_of_open_requests(server, open_model, concurrency):
    all_here = threading.Barrier(concurrency, timeout=10)

    def wait_for_the_others(body):
        all_here.wait()
        return parrot(body)

    server.answer = wait_for_the_others
    with open_model(concurrency=concurrency) as model:
        heard(model, WORDS)
    assert server.busiest == concurrency


def test_questions_are_read_only_as_fast_as_answers_are_taken(open_model):
    taken = []

    def questions():
        for word in WORDS:
            taken.append(word)
            yield question(word)

    with open_model(concurrency=2) as model:
        answers = model.ask(questions())
        assert taken == []
        next(answers)
        assert len(taken) == 2 * AHEAD
        assert len(list(answers)) == len(WORDS) - 1


def test_equal_questions_are_asked_once(server, open_model):
    with open_model() as model:
        assert heard(model, WORDS[:2] * 5) == [f"heard: {w}" for w in WORDS[:2] * 5]
        assert heard(model, WORDS[:1]) == ["heard: word 0"]
    assert len(server.requests) == 2


def test_other_sampling_is_another_question(server, open_model):
    asked = [
        question("a"),
        question("a", seed=1),  # no difference where nothing is drawn
        question("a", temperature=1.0),
        question("a", temperature=1.0, seed=1),
        question("a", max_new=8),
    ]
    with open_model() as model:
        assert len(list(model.ask(asked))) == 5
    assert len(server.requests) == 4
    assert sorted(r[2].get("seed", -1) for r in server.requests) == [-1, -1, 0, 1]


def test_the_bill_covers_every_run(server, open_model, tmp_path, caplog):
    caplog.set_level("INFO")
    server.faults = [status(503, Retry_After="0")]
    with open_model(concurrency=1) as model:
        heard(model, WORDS[:5])
    assert usage(tmp_path)["dollars"] is None
    with open_model(prompt_price=2.0, completion_price=10.0) as model:
        heard(model, WORDS)
    bill = usage(tmp_path)
    n = len(WORDS)
    expected = {"answers": n, "retries": 1, "prompt_tokens": 2 * n, "completion_tokens": 3 * n}
    assert {name: bill[name] for name in expected} == expected
    assert bill["dollars"] == pytest.approx((2 * n * 2.0 + 3 * n * 10.0) / 1e6)
    assert (bill["without_usage"], bill["answered_by"]) == (0, {"parrot-1.0 fp_1": n})
    assert (bill["model"], bill["server"]) == ("parrot", server.url)
    assert len(server.answered) == n
    assert f"parrot: {n} answers (1 retries), 80 prompt and 120 completion" in caplog.text


@pytest.mark.parametrize(
    "usage_of",
    [{}, {"usage": None}, {"usage": {"prompt_tokens": "3", "completion_tokens": 10**400}}],
)
def test_answers_without_a_count_are_counted_as_such(server, open_model, tmp_path, usage_of):
    server.answer = lambda body: {"choices": parrot(body)["choices"]} | usage_of
    with open_model() as model:
        heard(model, WORDS[:3])
    assert (usage(tmp_path)["without_usage"], usage(tmp_path)["prompt_tokens"]) == (3, 0)


def test_the_first_refusal_stops_all_and_keeps_what_came(server, open_model, tmp_path):
    """One request is refused while others are answered, hang in a pause, or wait their turn."""
    answering = threading.Event()

    def answer(body):
        answering.wait(5)
        return parrot(body)

    def refuse_and_go_on(handler):
        handler.send(401, "bad key")
        time.sleep(0.1)  # until the client has heard it
        answering.set()

    server.answer = answer
    server.faults = [status(503, Retry_After="60"), None, None, refuse_and_go_on]
    start = time.monotonic()
    with open_model(concurrency=4) as model, pytest.raises(UserError, match="status 401"):
        heard(model, WORDS)
    assert time.monotonic() - start < 4
    assert len(server.requests) == 4
    assert usage(tmp_path)["answers"] == len(server.answered) == 2
    with open_model() as model:
        assert heard(model, WORDS) == [f"heard: {w}" for w in WORDS]
    assert len(server.answered) == len(WORDS)


def test_a_prompt_that_is_too_long_has_no_reply_and_stops_nothing(server, open_model):
    server.faults = [None, status(400, "maximum context length is 8"), None]
    with open_model(concurrency=1) as model:
        replies = list(model.ask(map(question, WORDS[:3])))
    assert [r and r.text for r in replies] == ["heard: word 0", None, "heard: word 2"]


def test_only_one_process_writes_a_record(open_model):
    with open_model(), pytest.raises(UserError, match="another process is writing"):
        open_model()


def test_a_stored_answer_that_no_longer_reads_is_named(server, open_model, tmp_path):
    ledger = Ledger(tmp_path / "served", "parrot", Server(server.url))
    ledger.keep(question(WORDS[0]).key, {"choices": []}, 1)
    ledger.close()
    with open_model() as model, pytest.raises(UserError, match=r"served\.answers.*delete the file"):
        heard(model, WORDS[:1])


def test_a_damaged_record_is_named(open_model, tmp_path):
    with open_model(concurrency=1) as model:
        heard(model, WORDS[:4])
    path = tmp_path / "served.answers"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"served\.answers: damaged.*delete it"):
        open_model()


def test_a_caller_who_leaves_early_may_ask_again(server, open_model):
    with open_model(concurrency=2) as model:
        answers = model.ask(map(question, WORDS))
        assert next(answers).text == "heard: word 0"
        answers.close()
        sent = len(server.requests)
        assert sent < len(WORDS)
        assert heard(model, WORDS) == [f"heard: {w}" for w in WORDS]
    # What was on its way when the caller left was kept.
    assert len(server.requests) == len(server.answered) == len(WORDS)


def test_a_caller_who_leaves_takes_nothing_from_another(server, open_model):
    with open_model(concurrency=1) as model:
        one, other = (model.ask(map(question, WORDS[:8])) for _ in range(2))
        # Both wait for the same requests.
        assert [next(one).text, next(other).text] == ["heard: word 0"] * 2
        one.close()
        assert [reply.text for reply in other] == [f"heard: {w}" for w in WORDS[1:8]]
    assert len(server.answered) == 8


def test_who_leaves_during_a_pause_does_not_wait_for_it(server, open_model):
    server.faults = [None, status(503, Retry_After="60")]
    start = time.monotonic()
    with open_model(concurrency=1) as model:
        answers = model.ask(map(question, WORDS))
        next(answers)
        while len(server.requests) < 2:
            time.sleep(0.01)
        answers.close()
        assert heard(model, WORDS[:3]) == [f"heard: {w}" for w in WORDS[:3]]
    assert time.monotonic() - start < 10


def test_another_name_of_a_parameter_is_the_same_question(server, open_model):
    """A run that was killed pays nothing twice, whichever name its answers were asked with."""
    with open_model(concurrency=1) as model:
        heard(model, WORDS[:2])

    refusal = '{"error": {"code": "unsupported_parameter", "param": "max_tokens"}}'
    server.faults = [status(400, refusal)]
    with open_model(concurrency=1) as model:
        assert heard(model, WORDS[:4]) == [f"heard: {w}" for w in WORDS[:4]]
    asked = [set(r[2]) & {"max_tokens", "max_completion_tokens"} for r in server.requests]
    assert asked == [{"max_tokens"}] * 3 + [{"max_completion_tokens"}] * 2
    with open_model(concurrency=1) as model:
        heard(model, WORDS[:4])
    assert len(server.answered) == 4


def test_it_is_said_once_what_the_server_calls_too_long(server, open_model, caplog):
    caplog.set_level("INFO", logger="duomem_jax")
    server.faults = [status(400, "prompt is too long: 9 tokens > 8")] * 3
    with open_model() as model:
        assert list(model.ask(map(question, WORDS[:3]))) == [None] * 3
    assert caplog.text.count("9 tokens > 8") == 1
