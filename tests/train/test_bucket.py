"""Everything a run writes, in a bucket: gcsfs and TensorStore speak to a server of objects."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from hosts import outcome, start_hosts
from safetensors.numpy import load, load_file
from tiny_run import STEPS

import train
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_text

pytest.importorskip("gcsfs")
emulator = pytest.importorskip("gcp_storage_emulator.server")


class Bucket:
    """The objects of one bucket, as Cloud Storage's JSON API shows them."""

    def __init__(self, address):
        self.address = address

    def names(self, folder):
        query = f"{self.address}/storage/v1/b/bucket/o?prefix={quote(folder + '/', safe='')}"
        with urlopen(query) as answer:
            return [item["name"] for item in json.load(answer).get("items", [])]

    def read(self, name):
        with urlopen(
            f"{self.address}/download/storage/v1/b/bucket/o/{quote(name, safe='')}"
        ) as got:
            return got.read()


@pytest.fixture(scope="module")
def bucket():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("localhost", port, in_memory=True, default_bucket="bucket")
    server.start()
    yield Bucket(f"http://localhost:{port}")
    server.stop()


@pytest.fixture
def start(bucket, config_file, monkeypatch):
    """Start `train.py` with some output folder, and see that it ends with this test."""
    started = []
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.address)
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", bucket.address)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "none")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "none")

    def run(output, *overrides):
        command = [sys.executable, train.__file__, "--config", config_file, "--output", output]
        started.append(
            subprocess.Popen(
                [str(word) for word in (*command, *overrides)],
                env=os.environ | {"PYTHONPATH": os.getcwd()},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ended(process):
    _, error = process.communicate(timeout=120)
    return process.returncode, error


@pytest.fixture(params=["undisturbed", pytest.param("killed", marks=pytest.mark.slow)])
def run(request, start, bucket):
    """The name of a folder in the bucket that holds no run, or one that was killed."""
    if request.param == "killed":
        killed = start("gs://bucket/killed", "--log-every", 1)
        deadline = time.monotonic() + 120
        while not any("/5/commit_success" in name for name in bucket.names("killed/checkpoints")):
            assert killed.poll() is None, killed.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert not bucket.names("killed/adapter")
    return request.param


def test_a_run_in_a_bucket_ends_as_on_a_disk(done, start, bucket, run):
    _, reference = done
    more = ("--log-every", 1, "--writers", "tensorboard", "--profile", STEPS - 2, STEPS - 1)
    status, error = ended(start(f"gs://bucket/{run}", *more))
    assert status == 0, error
    ours = load(bucket.read(f"{run}/adapter/adapter_model.safetensors"))
    theirs = load_file(reference / "adapter" / "adapter_model.safetensors")
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)

    names = bucket.names(run)
    kept = {name.split("/")[2] for name in names if name.startswith(f"{run}/checkpoints/")}
    assert {step for step in kept if step} == {str(STEPS - 5), str(STEPS)}
    assert json.loads(bucket.read(f"{run}/config.json"))["output"] == f"gs://bucket/{run}"
    records = [json.loads(line) for line in bucket.read(f"{run}/metrics.jsonl").splitlines()]
    steps = [record["step"] for record in records]
    assert steps == sorted(set(steps))
    # The record of the checkpoint's own step is written a step later, on a disk as here.
    assert steps[-1] == STEPS
    assert len(steps) >= STEPS - 1
    assert any(name.endswith(".xplane.pb") for name in names)
    assert any(name.startswith(f"{run}/tensorboard/") for name in names)


@pytest.mark.slow
def test_two_hosts_share_a_bucket(start, bucket, config_file):
    """Told to end, and then on with one host."""
    run = ["--output", "gs://bucket/shared", "--mesh.data", 2, "--steps", 300]
    hosts = start_hosts(2, 2, config_file, *run)
    deadline = time.monotonic() + 120
    while not any("/5/commit_success" in name for name in bucket.names("shared/checkpoints")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hosts[0].send_signal(signal.SIGTERM)
    told = outcome(hosts)
    assert [status for status, _, _ in told] == [75, 75], told
    (alone,) = outcome(start_hosts(1, 2, config_file, *run))
    assert alone[0] == 0, alone[2]
    assert "shared/adapter/adapter_model.safetensors" in bucket.names("shared")
    assert any("/300/commit_success" in name for name in bucket.names("shared/checkpoints"))


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_sentence(start, bucket):
    status, error = ended(start("gs://nowhere/run"))
    sentence = [line for line in error.splitlines() if line.startswith("train.py: ")]
    assert (status, len(sentence)) == (2, 1), error
    assert "gs://nowhere/run/config.json: not writable" in sentence[0]
    assert "Traceback" not in error
    with pytest.raises(HTTPError):
        bucket.read("run/none")


@pytest.fixture
def refusing(monkeypatch):
    """A server that answers every request with the status in its list."""
    code = [500]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_error(code[0])

        def log_message(self, *args):
            pass

    server = HTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server.server_port}")
    yield code
    server.shutdown()
    server.server_close()


def test_a_refusal_is_a_mistake_and_another_error_is_not(refusing):
    """A mistake ends a babysat run for good; after what may pass it is started again."""
    refusing[0] = 403
    with pytest.raises(UserError, match="gs://bucket/x: not writable"):
        atomic_write_text("gs://bucket/x", "x")
    refusing[0] = 418  # of those that gcsfs gives up on, one that it does not try for long
    with pytest.raises(Exception, match="418") as e:
        atomic_write_text("gs://bucket/x", "x")
    assert not isinstance(e.value, UserError)


def test_without_the_extra_it_says_what_to_install(config_file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert train.main(["--config", str(config_file), "--output", "gs://bucket/run"]) == 2
    assert "pip install duomem-jax[gcs]" in capsys.readouterr().err
