"""Runs the scripts of tpu/ against a cloud in a folder."""

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from waiting import until as wait_until

ENV = """
RUN=my-run
PROJECT=my-project
ZONE=us-west4-a
ACCELERATOR=v5litepod-8
RUNTIME=v2-alpha-tpuv5-lite
BUCKET=my-bucket
SERVICE_ACCOUNT=
CREATE_FLAGS=(--spot)
SSH_FLAGS=()
INPUTS=(examples)
WORK=(train --config configs/quickstart.py --base "it's a \\$(folder)" --lora.targets q_proj v_proj)
CLUSTER=my-cluster
IMAGE=my-image
"""
TRAIN = ["--config", "configs/quickstart.py", "--base", "it's a $(folder)"]
TRAIN += ["--lora.targets", "q_proj", "v_proj", "--output", "gs://my-bucket/runs/my-run"]


until = functools.partial(wait_until, seconds=20)


@dataclass(frozen=True)
class Cloud:
    """`world` is what fake_gcloud.py knows; `repository` has the scripts, committed."""

    world: Path
    repository: Path

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", str(self.repository / "tpu" / script), *args],
            env=self.environment() | env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def environment(self) -> dict[str, str]:
        """With the fake commands."""
        path = f"{self.world / 'bin'}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "FAKE_CLOUD": str(self.world)}

    def slice(self, step: str, *args: str, **env: str) -> subprocess.CompletedProcess:
        return self.run("slice.sh", step, self.env(), *args, **env)

    def babysit(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        return self.run("babysit.sh", self.env(), *args, **env)

    def bring_up(self, *steps: str) -> None:
        for step in steps:
            done = self.slice(step)
            assert done.returncode == 0, done.stderr

    def words(self) -> list[str]:
        """Of the hosts, about their runs."""
        return self.slice("status").stdout.split()

    def env(self, text: str = ENV) -> str:
        path = self.world / "my.env"
        path.write_text(text)
        return str(path)

    def faults(self, *faults: dict) -> None:
        (self.world / "faults.json").write_text(json.dumps(faults))

    def stage(self, script: str) -> None:
        """What stands for `duomem` on hosts that are set up from now on."""
        (self.world / "duomem").write_text(f"#!/bin/sh\n{script}\n")

    def plan(self, *fates: int | str) -> None:
        (self.world / "plan.json").write_text(json.dumps(fates))

    def calls(self, *parts: str) -> list[list[str]]:
        """What gcloud was told, in order; only calls with all `parts` in them."""
        calls = [json.loads(x) for x in self._lines("calls.jsonl")]
        return [c for c in calls if all(part in " ".join(c) for part in parts)]

    def starts(self, host: int) -> list[dict]:
        return [json.loads(x) for x in self._lines(f"started{host}.jsonl")]

    def parts(self) -> dict[str, list[dict]]:
        """The starts of each shard of a stage."""
        found: dict[str, list[dict]] = {}
        for path in sorted(self.world.glob("parts*.jsonl")):
            for start in map(json.loads, self._lines(path.name)):
                found.setdefault(start["args"][-1], []).append(start)
        return found

    def slept(self) -> list[str]:
        return self._lines("slept")

    def slices(self) -> list[str]:
        return sorted(x.name for x in (self.world / "slices").glob("*"))

    def _lines(self, name: str) -> list[str]:
        path = self.world / name
        return path.read_text().splitlines() if path.exists() else []
