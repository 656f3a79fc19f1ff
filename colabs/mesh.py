# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A mesh, explained on eight devices that are not there
#
# One program for one core and for a pod: where arrays lie is a table of names. Here a processor
# pretends to be eight devices; on a TPU VM with eight chips the same cells use those.

# %%
# @title Setup
TPU = False  # @param {type: "boolean"}
SOURCE = "duomem-jax"  # @param {type: "string"}

import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("duomem_jax") is None:
    wanted = f"{SOURCE}[tpu]" if TPU else SOURCE
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted], check=True)
if not TPU:
    # Before JAX starts: afterwards the number of devices is fixed. More threads than devices,
    # or collectives that wait for each other may hold all of them.
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    os.environ["PJRT_NPROC"] = "32"

from duomem_jax.stages import doctor

print(doctor())
print("\nexpected: two minutes on two cores")

# %% [markdown]
# ## Axes
#
# `data` shares out rows, `fsdp` rows and weights, `tensor` the heads and the width of a layer. What
# is not said is chosen: as few `fsdp` devices as the model's size asks for; `data` takes the rest.

# %%
from duomem_jax.mesh import MeshConfig, make_mesh

for wanted in (MeshConfig(), MeshConfig(data=2, fsdp=2, tensor=2), MeshConfig(data=1, fsdp=8)):
    print(wanted, "->", dict(make_mesh(wanted, global_batch=8).shape))

# %% [markdown]
# ## Where each array lies
#
# A parameter has names for its axes, and one table says which name lies on which axis of the mesh.

# %%
import jax

from duomem_jax.mesh import model_shardings
from duomem_jax.models import Model, model_folder
from duomem_jax.models.hf import load_config

model = Model(load_config(model_folder("tiny-student")))
mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2), global_batch=8)
shapes, places = model.shapes()["params"], model_shardings(model, mesh)["params"]
for (path, shape), place in zip(
    jax.tree_util.tree_leaves_with_path(shapes), jax.tree.leaves(places), strict=True
):
    parts = place.shard_shape(shape.shape)
    print(f"{jax.tree_util.keystr(path):60}{shape.shape!s:>22} on each device {parts}")

# %% [markdown]
# ## The same training on three meshes
#
# Ten steps on the teacher's won games: one device, eight that share the rows, and two by two by
# two. The losses are the same but for the order of sums.

# %%
import dataclasses
import json
from pathlib import Path

from duomem_jax.agents.player import Player
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.stages import examples, generate, play
from duomem_jax.train.run import run
from duomem_jax.worlds.games import Games

ROOT = Path("runs/mesh")
generate(str(ROOT / "games"), count=24, seed=1)
play(str(ROOT / "episodes"), Games(str(ROOT / "games")), Player("expert", "expert"))
examples(str(ROOT / "rows"), "tiny-student", str(ROOT / "episodes"))
MESHES = {
    "one device": MeshConfig(data=1, fsdp=1),
    "rows shared": MeshConfig(data=8, fsdp=1),
    "two by two by two": MeshConfig(data=2, fsdp=2, tensor=2),
}
losses = {}
for name, wanted in MESHES.items():
    out = ROOT / name.replace(" ", "-")
    config = dataclasses.replace(
        tiny_training(steps=10, warmup_steps=2),
        base="tiny-student",
        data=str(ROOT / "rows"),
        output=str(out),
        global_batch=8,
        mesh=wanted,
        log_every=5,
    )
    run(config)
    lines = (out / "metrics.jsonl").read_text().splitlines()
    losses[name] = [json.loads(line)["loss"] for line in lines]
    print(name, losses[name])

# %% [markdown]
# ## On a pod
#
# The same config: each host reads its own rows, and the mesh has all chips. What the step would
# need on chips that are not there is compiled beforehand (`duomem compile-check`); `tpu/` creates
# the slice, starts the run on every host, and starts it again after a preemption (docs/tpu.md).

# %%
first = losses["one device"]
for name, others in losses.items():
    assert all(abs(a - b) < 1e-3 for a, b in zip(first, others, strict=True)), name
