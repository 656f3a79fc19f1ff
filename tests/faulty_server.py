"""A real HTTP server on this machine that fails as it is told, then answers as it should."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from duomem_jax.text.turns import reply


def status(code, text="", **headers):
    """A refusal; header names are written with underscores."""
    return lambda handler: handler.send(code, text, headers)


def text(content):
    """Any text where JSON is expected."""
    return lambda handler: handler.send(200, content)


def say(body):
    """Any JSON."""
    return text(json.dumps(body))


def hang(seconds):
    """Silence, then nothing."""
    return lambda handler: time.sleep(seconds)


def cut(handler):
    """The connection closes in the middle of the answer."""
    handler.send(200, '{"choices": [{"mess', {"Content_Length": "5000"})


def vanish(handler):
    """The connection closes without an answer."""


def completion(content, finish="stop", prompt=0):
    """A chat completion; a word is a token."""
    return {
        "choices": [{"message": {"content": content}, "finish_reason": finish}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": len(str(content).split())},
    }


def vllm_answer(logprobs, body):
    """As vLLM writes it: the realised token first, then the k likeliest, each id once."""
    ids, k, positions = body["prompt"], body["prompt_logprobs"], [None]
    for token, row_V in zip(ids[1:], logprobs(ids), strict=True):
        order = np.argsort(-row_V, kind="stable")
        entry = {}
        for i in [token, *order[:k].tolist()]:
            rank = int(np.flatnonzero(order == i)[0]) + 1
            entry[str(i)] = {"logprob": float(row_V[i]), "rank": rank, "decoded_token": f"<{i}>"}
        positions.append(entry)
    return {
        "object": "text_completion",
        "model": body["model"],
        "choices": [
            {"index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": positions}
        ],
        "usage": {"prompt_tokens": len(ids), "completion_tokens": 1},
    }


class Walkthroughs:
    """Answers each conversation with its game's next move."""

    def __init__(self, games):
        self.scripts = {game.text: game.walkthrough for game in games}

    def __call__(self, body):
        messages = body["messages"]
        first = next(m["content"] for m in messages if m["role"] == "user")
        moves = self.scripts[first.rpartition("Your task is to: ")[2]]
        step = sum(m["role"] == "assistant" for m in messages)
        content = reply(f"Step {step}.", moves[step])
        return completion(content, prompt=sum(len(m["content"].split()) for m in messages))


def parrot(body):
    """Repeats the last message; a word is a token."""
    messages = [m["content"] for m in body["messages"]]
    answer = completion(f"heard: {messages[-1]}", prompt=sum(len(m.split()) for m in messages))
    return answer | {"model": "parrot-1.0", "system_fingerprint": "fp_1"}


class FaultyServer(ThreadingHTTPServer):
    """Takes a fault from `faults` for each request; when there is none, sends `answer(body)`.

    Attributes:
        requests: (path, headers, body) of each.
        answered: bodies of those that got a good answer.
        busiest: most good answers that were being made at once.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.faults = answer, []
        self.requests, self.answered = [], []
        self.busy = self.busiest = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """Clients may leave early; that is their test."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append((self.path, dict(self.headers), body))
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            fault = server.faults.pop(0) if server.faults else None
        answer = None
        try:
            if fault is None:
                answer = server.answer(body)
        finally:  # before it is sent, since the client may come back at once
            with server.lock:
                server.busy -= 1
                if answer is not None:
                    server.answered.append(body)
        if fault is not None:
            fault(self)
        else:
            self.send(200, json.dumps(answer))

    def send(self, code, content, headers=()):
        data = content.encode()
        self.send_response(code)
        for name, value in ({"Content_Length": str(len(data))} | dict(headers)).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(answer):
    """A running `FaultyServer`."""
    server = FaultyServer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
