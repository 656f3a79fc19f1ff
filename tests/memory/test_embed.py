"""Embedders: unit rows, the same everywhere; a real local server for the endpoint."""

import json
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from made_up import make_episode

from duomem_jax.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.embed.openai import BATCH, OpenAIEmbedder
from duomem_jax.memory.record import make_memory


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


class Server(ThreadingHTTPServer):
    """Answers from `script` first (status, headers, body), then as it should."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = [], []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers.get("Authorization"), body))
        status, headers, reply = 200, {}, None
        if self.server.script:
            status, headers, reply = self.server.script.pop(0)
        if reply is None:
            data = [{"index": i, "embedding": [len(t), 1.0]} for i, t in enumerate(body["input"])]
            reply = json.dumps({"data": data[::-1]})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1/")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_endpoint_embeds_in_batches_and_in_order(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    texts = ["x" * (i % 7 + 1) for i in range(BATCH + 3)]
    embedder = make_embedder("openai:tiny")
    rows = embedder.embed(texts)
    expected = np.array([[len(t), 1.0] for t in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert [len(r[2]["input"]) for r in server.requests] == [BATCH, 3]
    path, key, body = server.requests[0]
    assert (path, key, body["model"]) == ("/v1/embeddings", "Bearer sk-test", "tiny")
    assert embedder.embed([]).shape == (0, 0)


def test_endpoint_is_asked_again_after_overload(server):
    server.script = [(429, {"Retry-After": "0"}, "slow down"), (503, {}, ""), (429, {}, "")]
    rows = OpenAIEmbedder("tiny", pause=0.001).embed(["abc"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert len(server.requests) == 4
    assert server.requests[0][1] is None


def test_endpoint_that_stays_busy_is_a_sentence(server):
    server.script = [(429, {}, "busy")] * 20
    with pytest.raises(UserError, match=r"status 429 \('busy'\)"):
        OpenAIEmbedder("tiny", pause=0.001).embed(["abc"])
    assert len(server.requests) == 6


def test_refusal_is_not_repeated(server):
    server.script = [(401, {}, "bad key")]
    with pytest.raises(UserError, match=r"status 401 .*check the address, the key"):
        OpenAIEmbedder("tiny").embed(["abc"])
    assert len(server.requests) == 1


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
    server.script = [(200, {}, reply)]
    with pytest.raises(UserError, match="not an embeddings reply"):
        OpenAIEmbedder("tiny").embed(["a", "b"])


def test_vectors_that_change_their_length_are_a_sentence(server):
    def body(n, width):
        data = [{"index": i, "embedding": [1.0] * width} for i in range(n)]
        return 200, {}, json.dumps({"data": data})

    server.script = [body(BATCH, 2), body(1, 3)]
    with pytest.raises(UserError, match="vectors of different lengths"):
        OpenAIEmbedder("tiny").embed(["a"] * (BATCH + 1))
    memories = [make_memory(make_episode(0), "script")]
    bank = MemoryBank(memories, OpenAIEmbedder("tiny"))
    server.script = [body(1, 3)]
    with pytest.raises(UserError, match="now gives 3 dimensions, the bank has 2"):
        bank.retrieve("a", 1)


def test_unreachable_endpoint_is_a_sentence(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match="no answer"):
        OpenAIEmbedder("tiny", pause=0.001).embed(["a"])


def test_openai_itself_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        make_embedder("openai")
