"""Embedders: unit rows, the same everywhere; a real local server for the endpoint."""

import hashlib
import subprocess
import sys
import types

import numpy as np
import pytest
from faulty_server import say, serving, status, text
from made_up import make_episode

from duomem_jax.base.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.embed.openai import BATCH, OpenAIEmbedder
from duomem_jax.records.memories import make_memory


def test_hashing_gives_unit_rows_and_knows_what_matters():
    texts = [
        "put a clean plate in fridge.",
        "clean some plate and put it in fridge.",
        "put a clean mug in fridge.",
        "put two clean plate in fridge.",
        "look at book under the desklamp.",
    ]
    embedder = make_embedder()
    rows = embedder.embed(texts)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    cosines = rows @ rows[0]
    assert cosines[1] >= embedder.same > cosines[2] > cosines[4]
    assert cosines[3] < embedder.same
    np.testing.assert_array_equal(rows, np.concatenate([embedder.embed([t]) for t in texts]))


def test_hashing_of_no_words_is_a_zero_row():
    assert not make_embedder("hashing:8").embed(["", "..."]).any()


def test_hashing_knows_other_scripts():
    rows = make_embedder("hashing:4096").embed(["私は猫が好き", "猫", "犬", "кошка дома", "Кошка"])
    cosines = rows @ rows.T
    assert cosines[0, 1] > 0.2 > cosines[0, 2]
    assert cosines[3, 4] > 0.4 > cosines[3, 0]


def test_hashing_of_texts_that_had_vectors_is_as_it_was():
    # Of the version whose name banks carry, before other scripts were known.
    digests = {
        "put a clean plate in fridge 2.": "bb7ca76312e73cc1",
        "Zoë likes café №5 猫": "4f847d19352cfdfc",
    }
    for said, digest in digests.items():
        row = make_embedder("hashing:64").embed([said])
        assert hashlib.sha256(row.tobytes()).hexdigest()[:16] == digest


def test_hashing_is_the_same_in_another_process():
    code = (
        "from duomem_jax.memory.embed import make_embedder\n"
        "print(make_embedder().embed(['heat some egg']).tobytes().hex())"
    )
    for seed in ("1", "2"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert out.stdout.strip() == make_embedder().embed(["heat some egg"]).tobytes().hex()


@pytest.mark.parametrize("spec", ["word2vec", "hashing:many", "hashing:0", ""])
def test_unknown_embedders_are_refused(spec):
    with pytest.raises(UserError, match="embedder="):
        make_embedder(spec)


def test_sentence_transformers_missing_or_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"install duomem-jax\[embed\]"):
        make_embedder("sentence-transformers")

    class Model:
        def __init__(self, name):
            if name == "none":
                raise OSError("no such model\nmore")

        def encode(self, texts, convert_to_numpy):
            return np.full((len(texts), 4), 3.0)

    stub = types.SimpleNamespace(SentenceTransformer=Model)
    monkeypatch.setitem(sys.modules, "sentence_transformers", stub)
    embedder = make_embedder("sentence-transformers:tiny")
    assert embedder.name == "sentence-transformers:tiny"
    np.testing.assert_allclose(embedder.embed(["a", "b"]), np.full((2, 4), 0.5))
    with pytest.raises(UserError, match=r"not loadable \(no such model\)"):
        make_embedder("sentence-transformers:none")


def embed_answer(body):
    data = [{"index": i, "embedding": [len(t), 1.0]} for i, t in enumerate(body["input"])]
    return {"data": data[::-1]}


def embeddings(n, width):
    return say({"data": [{"index": i, "embedding": [1.0] * width} for i in range(n)]})


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(embed_answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def test_endpoint_embeds_in_batches_and_in_order(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    texts = ["x" * (i % 7 + 1) for i in range(BATCH + 3)]
    embedder = make_embedder("openai:tiny")
    rows = embedder.embed(texts)
    expected = np.array([[len(t), 1.0] for t in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert [len(r[2]["input"]) for r in server.requests] == [BATCH, 3]
    path, headers, body = server.requests[0]
    assert (path, body["model"]) == ("/v1/embeddings", "tiny")
    assert headers["Authorization"] == "Bearer sk-test"
    assert embedder.embed([]).shape == (0, 0)


def test_endpoint_is_asked_again_after_overload(server):
    server.faults = [status(429, "slow down", Retry_After="9"), status(503)]
    pauses = []
    rows = OpenAIEmbedder("tiny", sleep=pauses.append).embed(["abc"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert len(server.requests) == 3
    assert 9 <= pauses[0] <= 10


def test_text_that_is_too_long_is_a_sentence(server):
    server.faults = [status(400, "maximum context length is 8192 tokens")]
    with pytest.raises(UserError, match=r"openai:tiny: a text is too long.*context.*'abc'"):
        OpenAIEmbedder("tiny").embed(["abc"])


def test_a_batch_that_is_too_large_is_sent_in_parts(server):
    texts = ["a", "b" * 90, "c", "d", "e"]
    whole = OpenAIEmbedder("tiny").embed(texts)
    server.faults = [status(413, "batch size 5 > maximum allowed batch size 2")]
    np.testing.assert_array_equal(OpenAIEmbedder("tiny").embed(texts), whole)
    assert [len(r[2]["input"]) for r in server.requests] == [5, 5, 2, 3]


def test_only_the_text_at_fault_is_named(server):
    server.faults = [status(413, "too large"), None, status(413), None, status(413, "512 tokens")]
    with pytest.raises(UserError, match=r"512 tokens\), 'dd'"):
        OpenAIEmbedder("tiny").embed(["a", "b", "c", "dd"])


@pytest.mark.parametrize(
    "reply",
    [
        "<html>",
        "[]",
        "{}",
        '{"data": 3}',
        '{"data": [{"embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": "x"}]}',
        '{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 2, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, NaN]}, {"index": 1, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}',
    ],
)
def test_malformed_answers_are_a_sentence(server, reply):
    server.faults = [text(reply)] * 6
    with pytest.raises(UserError, match="malformed answer"):
        OpenAIEmbedder("tiny", sleep=lambda _: None).embed(["a", "b"])


def test_vectors_that_change_their_length_are_a_sentence(server):
    server.faults = [embeddings(BATCH, 2), embeddings(1, 3)]
    with pytest.raises(UserError, match="vectors of different lengths"):
        OpenAIEmbedder("tiny").embed(["a"] * (BATCH + 1))
    memories = [make_memory(make_episode(0), "script")]
    bank = MemoryBank(memories, OpenAIEmbedder("tiny"))
    server.faults = [embeddings(1, 3)]
    with pytest.raises(UserError, match="now gives 3 dimensions, the bank has 2"):
        bank.retrieve("a", 1)


def test_unreachable_endpoint_is_a_sentence(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match="no answer"):
        OpenAIEmbedder("tiny", sleep=lambda _: None).embed(["a"])


def test_openai_itself_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        make_embedder("openai")
