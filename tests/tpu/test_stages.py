"""Playing, labelling and evaluating on slices: in parts, with every launcher."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_cloud import ENV, until
from test_babysit import PREEMPTED

from duomem_jax import stages
from duomem_jax.records.played import read_episodes

ROOT = Path(__file__).parents[2]
EVALUATE = ["evaluate", "--games.path", "inputs/examples", "--player.name", "it's LoRA"]
OUTPUT = "gs://my-bucket/runs/my-run"
SHARDS = ["0/4", "1/4", "2/4", "3/4"]


@pytest.fixture
def evaluating(cloud, monkeypatch):
    """A cloud whose env file says: evaluate."""
    work(cloud, monkeypatch, EVALUATE)
    return cloud


def work(cloud, monkeypatch, words):
    """Let the env file name a stage."""
    head, _ = ENV.split("WORK=(")
    text = f"{head}WORK=({' '.join(map(shlex.quote, words))})\nCLUSTER=my-cluster\nIMAGE=my-image\n"
    monkeypatch.setattr("fake_cloud.Cloud.env", lambda self: _written(self, text))


def _written(cloud, text):
    path = cloud.world / "my.env"
    path.write_text(text)
    return str(path)


def finished(cloud):
    return (cloud.world / "bucket/my-bucket/runs/my-run/finished").exists()


def check_parts(cloud, starts=1):
    """All parts and no other, each as often as wanted, with the arguments of WORK."""
    parts = cloud.parts()
    assert list(parts) == SHARDS
    for shard, found in parts.items():
        assert [start["args"] for start in found] == [
            [EVALUATE[0], OUTPUT, *EVALUATE[1:], "--shard", shard]
        ] * starts


def test_each_chip_has_a_part(evaluating):
    done = evaluating.babysit()
    assert done.returncode == 0, done.stderr
    check_parts(evaluating)
    assert finished(evaluating)
    found = [start for starts in evaluating.parts().values() for start in starts]
    assert [start["host"] for start in found] == ["0", "0", "1", "1"]
    tpu = [start["tpu"] for start in found]
    assert [x["TPU_VISIBLE_CHIPS"] for x in tpu] == ["0", "1"] * 2
    assert {x["TPU_CHIPS_PER_PROCESS_BOUNDS"] for x in tpu} == {"1,1,1"}
    assert {x["TPU_WORKER_HOSTNAMES"] for x in tpu} == {"localhost"}
    before = len(evaluating.calls("create"))
    assert "finished already" in evaluating.babysit().stderr
    assert len(evaluating.calls("create")) == before


def test_what_labels_has_all_chips_of_a_host(cloud, monkeypatch):
    work(cloud, monkeypatch, ["label", "--examples", "inputs/examples"])
    cloud.bring_up("upload", "create", "setup", "launch")
    until(lambda: cloud.words() == ["exited:0", "exited:0"])
    parts = cloud.parts()
    assert list(parts) == ["0/2", "1/2"]
    for (start,) in parts.values():
        assert start["tpu"]["TPU_VISIBLE_CHIPS"] == "0,1"
        assert start["tpu"]["TPU_CHIPS_PER_PROCESS_BOUNDS"] == "1,2,1"
    logs = (cloud.world / "bucket/my-bucket/logs/my-run").glob("*.log")
    assert list(logs)


def test_preempted_parts_go_on_where_they_were(evaluating):
    evaluating.faults(PREEMPTED | {"skip": 4})
    done = evaluating.babysit()
    assert done.returncode == 0, done.stderr
    check_parts(evaluating, starts=2)
    for first, second in evaluating.parts().values():
        assert first["units"] == 0 < second["units"]
    assert finished(evaluating)


def test_stopped_parts_save_and_end(evaluating):
    evaluating.plan("last")
    evaluating.bring_up("upload", "create", "setup", "launch")
    until(lambda: len(evaluating.parts()) == 4)
    evaluating.bring_up("stop")
    assert evaluating.words() == ["stopped", "stopped"]
    log = (evaluating.world / "slices/my-run/host0/duomem/run.log").read_text()
    assert "Terminated" not in log


def test_a_refused_part_ends_the_run(evaluating):
    evaluating.plan(2)
    done = evaluating.babysit()
    assert done.returncode == 2
    assert "the sentence is in gs://my-bucket/logs/my-run" in done.stderr
    check_parts(evaluating)


def test_worse():
    """A mistake comes before a crash, and that before what only asks to be started again."""
    script = '. tpu/parts.sh; worse "$@"'
    for statuses, worst in {"0 75": 75, "75 0": 75, "1 75": 1, "137 2": 2, "0 0": 0}.items():
        command = ["bash", "-c", script, "bash", *statuses.split()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == f"{worst}\n", statuses


def test_real_games(cloud, monkeypatch):
    """The package itself on two hosts of one chip, and a server of objects: a whole dataset."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    bucket = cloud.world / "bucket/my-bucket"
    stages.generate(str(bucket / "inputs/examples/games"), 6, 1)
    cloud.stage(f'PYTHONPATH={ROOT} exec {sys.executable} -m duomem_jax "$@"')
    games = ["--games.path", "inputs/examples/games"]
    expert = ["--player.name", "expert", "--player.model", "expert"]
    work(cloud, monkeypatch, ["play", *games, *expert])
    # What the server keeps of this bucket is also what the fake gcloud sees of it.
    server_has = cloud.world / "server/.cloudstorage/my-bucket/runs"
    (bucket / "runs").symlink_to(server_has)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = emulator.create_server(
        "localhost",
        port,
        in_memory=False,
        data_dir=str(cloud.world / "server"),
        default_bucket="my-bucket",
    )
    server.start()
    try:
        done = cloud.babysit(
            STORAGE_EMULATOR_HOST=f"http://localhost:{port}",
            GOOGLE_CLOUD_PROJECT="none",
            FAKE_CHIPS="1,1,1",
        )
    finally:
        server.stop()
    logs = "".join(path.read_text() for path in bucket.glob("logs/my-run/*"))
    assert done.returncode == 0, done.stderr + logs
    assert "/2: " in logs
    assert len(read_episodes(bucket / "runs/my-run")) == 6


class Pods:
    """Hosts of a slice without ssh, as Kubernetes and SkyPilot have them."""

    def __init__(self, cloud, **env):
        self.cloud, self.env = cloud, env

    def run(self, command):
        """The command on both hosts at once; their exit statuses."""
        started = [self._start(host, command) for host in range(2)]
        return [process.wait(timeout=60) for process in started]

    def _start(self, host, command):
        home = self.cloud.world / f"pod{host}"
        if not home.exists():
            git = ["git", "clone", "--quiet", str(self.cloud.repository), str(home)]
            subprocess.run(git, check=True)
        env = {"PATH": f"{self.cloud.world / 'bin'}:{os.environ['PATH']}"}
        env |= {"FAKE_CLOUD": str(self.cloud.world), "FAKE_HOST": str(host)}
        env |= {name: value.format(host=host) for name, value in self.env.items()}
        return subprocess.Popen(command, cwd=home, env=os.environ | env)


# What GKE tells a pod that asks for TPUs.
GKE = {"TPU_WORKER_ID": "{host}", "TPU_WORKER_HOSTNAMES": "slice-0,slice-1"}
GKE |= {"TPU_CHIPS_PER_HOST_BOUNDS": "1,2,1"}


def test_sky(cloud):
    """What sky.yaml has its hosts run, with WORK given as `--env` would."""
    sky = yaml.safe_load((ROOT / "tpu/sky.yaml").read_text())
    words = [*EVALUATE[:-1], "LoRA"]
    given = {"RUN": "my-run", "BUCKET": "my-bucket", "INPUTS": "examples", "WORK": " ".join(words)}
    assert given.keys() == sky["envs"].keys()
    hosts = Pods(cloud, **given)
    assert hosts.run(["bash", "-c", sky["setup"]]) == [0, 0]
    assert (cloud.world / "pod1/inputs/examples/rows").exists()
    cloud.plan(75, "train")
    status = hosts.run(["bash", "-c", sky["run"]])
    assert status == [75, 75]
    assert status[0] in sky["resources"]["job_recovery"]["recover_on_exit_codes"]
    assert hosts.run(["bash", "-c", sky["run"]]) == [0, 0]
    assert list(cloud.parts()) == SHARDS
    assert [start["units"] for start in cloud.parts()["3/4"]] == [0, 1]
    assert finished(cloud)


def test_jobset(cloud):
    """The image's entrypoint with the arguments of a stage in the place of those of training."""
    jobset = yaml.safe_load((ROOT / "tpu/jobset.yaml").read_text())
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    work, output, *_ = pod["containers"][0]["args"]
    assert output.startswith("gs://my-bucket-us-west4/runs/")
    pods = Pods(cloud, **GKE)
    assert pods.run(["bash", "tpu/host.sh", "install"]) == [0, 0]  # the image has it
    assert pods.run([*entrypoint(), work, OUTPUT, *EVALUATE]) == [0, 0]
    check_parts(cloud)
    assert finished(cloud)


def entrypoint():
    """Of the image."""
    text = (ROOT / "tpu/Dockerfile").read_text()
    (line,) = [x for x in text.splitlines() if x.startswith("ENTRYPOINT ")]
    return yaml.safe_load(line.removeprefix("ENTRYPOINT "))


def test_xpk(evaluating):
    """The command that a pod gets, started again by the status that asks for it."""
    done = evaluating.run("xpk.sh", "launch", evaluating.env(), "--dry-run")
    (line,) = [shlex.split(x) for x in done.stdout.splitlines()]
    (command,) = [x.removeprefix("--command=") for x in line if x.startswith("--command=")]
    pods = Pods(evaluating, **GKE)
    pods.run(["bash", "tpu/host.sh", "install"])
    evaluating.plan(75, "train")
    assert pods.run(["bash", "-c", command]) == [75, 75]
    assert "--restart-on-exit-codes=75" in line
    assert pods.run(["bash", "-c", command]) == [0, 0]
    check_parts(evaluating, starts=2)
    assert finished(evaluating)
