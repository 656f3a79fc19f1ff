"""Labelling over a server gives what labelling here gives."""

import jax
import numpy as np
import pytest
from faulty_server import serving, status, vllm_answer

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.label import Label

TEACHER = str(model_folder("tiny-teacher"))
LENGTH = 512


@pytest.fixture(scope="module")
def answer():
    """The tiny teacher as vLLM would answer."""
    config, base = load_pretrained(TEACHER)
    model = Model(config)

    @jax.jit
    def logits(row_1T):
        x_1TD = model.hidden(base, row_1T, np.arange(LENGTH)[None], np.ones((1, LENGTH), int))
        return jax.nn.log_softmax(model.head(base)(x_1TD[0]))

    def logprobs(ids):
        row_1T = np.array([ids + [0] * (LENGTH - len(ids))], np.int32)
        return np.asarray(logits(row_1T), np.float64)[: len(ids) - 1]

    return lambda body: vllm_answer(logprobs, body)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def served(played, out, server, **how):
    how = Label(k=8, tokenizer=TEACHER, **how)
    return stages.label(
        str(out), str(played / "rows"), "openai:tiny-teacher", how, server=Server(server.url)
    )


def test_targets_are_those_of_the_model_itself(played, labelled, answer, tmp_path):
    with serving(answer) as server:
        report = served(played, tmp_path / "out", server)
    assert report.counts["rows_missing_targets"] == 0
    here, there = (list(read_dataset(f, "train")) for f in (labelled, tmp_path / "out"))
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        n = a["target_mask"].sum()
        np.testing.assert_array_equal(a["target_mask"], b["target_mask"])
        np.testing.assert_array_equal(a["target_ids"][:n, 0], b["target_ids"][:n, 0])
        # The order of candidates with equal chances is nobody's business.
        order = [np.argsort(x["target_ids"][:n].astype(int), axis=1) for x in (a, b)]
        log_p = [
            np.take_along_axis(x["target_log_probs"][:n], o, 1)
            for x, o in zip((a, b), order, strict=True)
        ]
        np.testing.assert_allclose(*log_p, rtol=5e-3, atol=2e-3)
        np.testing.assert_allclose(a["target_rest"][:n], b["target_rest"][:n], atol=0.1)
    assert (tmp_path / "out" / "served.usage.json").exists()


def test_a_conversation_too_long_for_the_server_has_no_targets(played, answer, tmp_path):
    """It is counted, and its tokens are marked; the others are there."""
    with serving(answer) as server:
        server.faults = [status(400, "This model's maximum context length is too small")]
        report = served(played, tmp_path / "out", server)
    assert report.counts["rows_missing_targets"] == 1
    missing = report.counts["tokens_missing_targets"]
    found = sum(int(r["target_mask"].sum()) for r in read_dataset(tmp_path / "out", "train"))
    assert missing > 0
    assert found + missing == report.counts["loss_tokens"]


def test_a_served_teacher_needs_its_tokenizer_named(played, tmp_path):
    with pytest.raises(UserError, match=r"how\.tokenizer must name"):
        stages.label(str(tmp_path / "out"), str(played / "rows"), "openai:x", Label(k=8))


def test_rows_of_which_no_token_got_targets_are_refused(played, answer, tmp_path):
    too_long = status(400, "This model's maximum context length is 8 tokens")
    with serving(answer) as server:
        server.faults = [too_long] * 100  # more than there are conversations
        with pytest.raises(UserError, match=r"none of the .* got targets"):
            served(played, tmp_path / "out", server)


def test_a_token_with_a_candidate_beyond_the_vocabulary_has_no_targets(played, answer, tmp_path):
    """A served head may be padded, and what stands there is none of the student's tokens."""
    vocab = load_pretrained(TEACHER)[0].vocab_size

    def padded(body):
        answered = answer(body)
        (choice,) = answered["choices"]
        for written, position in list(zip(body["prompt"], choice["prompt_logprobs"], strict=True))[
            1::5
        ]:
            other = next(token for token in position if token != str(written))
            position[str(vocab + 7)] = position.pop(other)
        return answered

    with serving(padded) as server:
        report = served(played, tmp_path / "out", server)
    assert 0 < report.counts["tokens_missing_targets"] < report.counts["loss_tokens"]
    for row in read_dataset(tmp_path / "out", "train"):
        assert row["target_ids"][row["target_mask"] > 0].max() < vocab
