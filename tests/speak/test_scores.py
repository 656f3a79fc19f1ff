"""Log-probabilities of a real tiny model, sent in vLLM's format, against numpy."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faulty_server import serving, status, vllm_answer

from duomem_jax.base.errors import UserError
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.speak.served.http import MalformedError
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.scores import EMPTY, read_scores, score_request
from duomem_jax.speak.served.server import Server

T, K = 12, 4
LENGTHS = (T, 2, 7)


@pytest.fixture(scope="module")
def logprobs():
    """The tiny student's log-probabilities [T-1, V] for the tokens 1 .. T-1 of a sequence."""
    config, base = load_pretrained(str(model_folder("tiny-student")), "float32")
    model = Model(config)

    @jax.jit
    def logits(row_1T):
        x_1TD = model.hidden(base, row_1T, jnp.arange(T)[None], jnp.ones_like(row_1T))
        return model.head(base)(x_1TD[0])

    def logprobs(ids):
        row_1T = jnp.asarray([ids + [0] * (T - len(ids))], jnp.int32)  # one shape, one compilation
        logits_TV = np.asarray(logits(row_1T), np.float64)[: len(ids) - 1]
        return logits_TV - np.log(np.exp(logits_TV).sum(-1, keepdims=True))

    return logprobs


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [rng.integers(1, 1000, n).tolist() for n in LENGTHS]


@pytest.fixture
def server(logprobs, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(lambda body: vllm_answer(logprobs, body)) as server:
        yield server


@pytest.fixture
def model(server, tmp_path):
    with ServedModel("tiny-student", Server(server.url), tmp_path / "served") as model:
        yield model


def ask(model, sequences, k):
    return list(model.ask(score_request(model.name, ids, k) for ids in sequences))


def test_scores_are_the_models_own(server, model, logprobs, sequences):
    found = ask(model, sequences, K)
    assert len(found) == len(sequences)
    inside = []
    for ids, scores in zip(sequences, found, strict=True):
        rows_TV = logprobs(ids)
        n = len(ids) - 1
        assert scores.ids.shape == scores.logprobs.shape == (n, K + 1)
        assert (scores.ids.dtype, scores.logprobs.dtype) == (np.int32, np.float32)
        top_TK = np.argsort(-rows_TV, axis=-1, kind="stable")[:, :K]
        np.testing.assert_array_equal(scores.ids[:, :K], top_TK)
        expected = np.take_along_axis(rows_TV, top_TK, -1)
        np.testing.assert_allclose(scores.logprobs[:, :K], expected, rtol=1e-6)
        for t, token in enumerate(ids[1:]):
            among = token in top_TK[t]
            inside.append(among)
            assert scores.ids[t, K] == (EMPTY if among else token)
            last = -np.inf if among else rows_TV[t, token]
            assert scores.logprobs[t, K] == pytest.approx(last, rel=1e-6)
    assert not all(inside)
    sent = {"max_tokens": 1, "temperature": 0, "prompt_logprobs": K}
    assert all(body.items() >= sent.items() for body in server.answered)


def test_greedy_text_is_among_the_likeliest(model, logprobs):
    ids = [5]
    while len(ids) < 6:
        ids.append(int(logprobs([*ids, 0])[-1].argmax()))
    (scores,) = ask(model, [ids], 2)
    np.testing.assert_array_equal(scores.ids[:, 0], ids[1:])
    assert (scores.ids[:, 2] == EMPTY).all()


def test_scores_are_stored_like_all_answers(server, model, sequences):
    first, again = (ask(model, sequences, K) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.logprobs, b.logprobs)
    assert len(server.answered) == len(sequences)


def test_a_sequence_that_is_too_long_has_no_scores(server, model, sequences):
    server.faults = [status(400, "maximum context length is 8")]
    assert ask(model, sequences[:1], K) == [None]


def test_a_server_that_does_not_score_is_named_at_once(server, model, sequences):
    server.answer = lambda body: {"choices": [{"text": "x", "logprobs": None}]}
    with pytest.raises(UserError, match=r"without prompt_logprobs.*use vLLM"):
        ask(model, sequences[:1], K)
    assert len(server.answered) == 1


def test_too_many_candidates_are_refused_by_the_server(server, model, sequences):
    server.faults = [status(400, "Requested prompt logprobs of 99, greater than max allowed: 20")]
    with pytest.raises(UserError, match="max allowed: 20"):
        ask(model, sequences[:1], 99)


@pytest.mark.parametrize(("ids", "k"), [([], 3), ([7], 3), ([7, 8], 0)])
def test_nothing_to_score_is_an_error_of_the_caller(ids, k):
    with pytest.raises(ValueError, match="nothing to score"):
        score_request("m", ids, k)


def without_first(choice):
    choice["prompt_logprobs"] = choice["prompt_logprobs"][1:]


def one_more(choice):
    choice["prompt_logprobs"].append({})


def at(position, change):
    return lambda choice: change(choice["prompt_logprobs"], position)


def null(positions, t):
    positions[t] = None


def forget_realised(positions, t):
    del positions[t][next(iter(positions[t]))]


def fewer(positions, t):
    while len(positions[t]) >= K:
        positions[t].popitem()


def more(positions, t):
    positions[t] |= {str(i): {"logprob": -50.0} for i in (1085, 1086, 1087)}


def value(logprob):
    def change(positions, t):
        next(iter(positions[t].values()))["logprob"] = logprob

    return change


def rename(name):
    def change(positions, t):
        positions[t][name] = positions[t].pop(list(positions[t])[-1])

    return change


def likely_outsider(positions, t):
    """The realised token is not among the k likeliest, yet likelier than they."""
    realised, *others = positions[t].values()
    assert len(others) == K
    realised["logprob"] = -1e-3
    for other in others:
        other["logprob"] = -9.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_first, "is not null and 11 positions"),
        (one_more, "is not null and 11 positions"),
        (at(3, null), r"prompt_logprobs\[3\]: NoneType"),
        (at(1, forget_realised), r"\[1\]: the realised token \d+ is missing"),
        (at(2, fewer), r"\[2\]: token ids .* not 4 or 5"),
        (at(2, more), r"\[2\]: token ids .* not 4 or 5"),
        (at(2, rename("-3")), r"\[2\]: token ids"),
        (at(2, rename("99999999999")), r"\[2\]: token ids"),
        (at(2, rename("the")), r"\[2\]: invalid literal"),
        (at(4, value(None)), r"\[4\]: float"),
        (at(4, value("x")), r"\[4\]: could not convert"),
        (at(4, value(float("nan"))), r"\[4\]: .*not log-probabilities"),
        (at(4, value(10**400)), r"\[4\]: int too large"),
        (at(4, value(0.5)), r"\[4\]: .*not log-probabilities"),
        (at(5, likely_outsider), r"\[5\]: 5 candidates, of which"),
    ],
)
def test_malformed_scores_say_what_is_wrong(logprobs, sequences, change, says):
    body = vllm_answer(logprobs, {"model": "m", "prompt": sequences[0], "prompt_logprobs": K})
    read_scores(copy.deepcopy(body), sequences[0], K)
    change(body["choices"][0])
    with pytest.raises(MalformedError, match=says):
        read_scores(body, sequences[0], K)


def test_tokens_of_probability_zero_are_kept(sequences):
    """vLLM writes -9999 for minus infinity."""
    entry = {"7": {"logprob": -9999.0}, "1": {"logprob": -0.1}, "2": {"logprob": -3.0}}
    scores = read_scores({"choices": [{"prompt_logprobs": [None, entry]}]}, [3, 7], 2)
    np.testing.assert_array_equal(scores.ids, [[1, 2, 7]])
    np.testing.assert_allclose(scores.logprobs, [[-0.1, -3, -9999]])
