"""Fake `gcloud`, `curl`, `uv` and `sleep` first on PATH, and a repository to send."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cloud import Cloud

HERE = Path(__file__).parent
UV = """
[ "$1" = venv ] || exit 0
mkdir -p .venv/bin
printf '#!/bin/sh\\nshift\\nexec {python} {trainer} "$@"\\n' > .venv/bin/python
cp "$FAKE_CLOUD/duomem" .venv/bin/duomem
chmod +x .venv/bin/*
"""
# The metadata of a host, of two with two chips each.
CURL = """
for last; do :; done
case $last in
  */agent-worker-number) echo "$FAKE_HOST" ;;
  */worker-network-endpoints) echo unknown:unknown:10.0.0.1,unknown:unknown:10.0.0.2 ;;
  */tpu-env) printf "ZONE: 'here'\\nCHIPS_PER_HOST_BOUNDS: '%s'\\n" "${FAKE_CHIPS-1,2,1}" ;;
  *) exit 22 ;;
esac
"""


@pytest.fixture
def cloud(tmp_path):
    if not shutil.which("flock"):
        pytest.skip("the scripts for hosts need Linux's flock")
    world, repository = tmp_path / "world", tmp_path / "repository"
    commands = {
        "gcloud": f'exec {sys.executable} -S {HERE / "fake_gcloud.py"} "$@"',
        "curl": CURL,
        "uv": UV.format(python=f"{sys.executable} -S", trainer=HERE / "fake_trainer.py"),
        "sleep": 'echo "$1" >> "$FAKE_CLOUD/slept"\nexec /bin/sleep 0.1',
    }
    for name, text in commands.items():
        path = world / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    (world / "bucket" / "my-bucket" / "inputs" / "examples").mkdir(parents=True)
    (world / "bucket" / "my-bucket" / "inputs" / "examples" / "rows").write_text("rows")
    shutil.copytree(HERE.parents[1] / "tpu", repository / "tpu")
    (repository / ".gitignore").write_text("/runs\n")
    git = ["git", "-C", str(repository), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    for args in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run(git + args, check=True)
    made = Cloud(world, repository)
    made.plan("train")
    made.stage(f'exec {sys.executable} -S {HERE / "fake_stage.py"} "$@"')
    yield made
    made.slice("delete")  # nothing outlives the test
