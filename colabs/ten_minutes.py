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
# # DuoMem in ten minutes
#
# A large teacher agent knows how to act in a household; a small student does not. Here the skill is
# transferred in two spaces: as memories that the student reads, and as an adapter on its weights.
# Everything is small enough for two cores; with `TPU` the same runs at its usual size.

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
SMOKE = bool(os.environ.get("DUOMEM_SMOKE"))

from duomem_jax.stages import doctor

print(doctor())
print("\nexpected:", "two minutes" if SMOKE else "ten minutes", "on two cores")

# %% [markdown]
# ## Play a game yourself
#
# Games are ALFWorld's: a room in words, a task, commands. Change the commands below and play on.

# %%
from pathlib import Path

from duomem_jax.stages import generate
from duomem_jax.worlds.games import Games

ROOT = Path("runs/ten-minutes")
generate(str(ROOT / "one"), count=1, seed=7)
games = Games(str(ROOT / "one"))
(task,) = games.load()
room = games.open_world().open(task)
print(room.reset())
for command in ("look", "inventory"):
    print(f"\n> {command}\n{room.step(command).observation}")

# %% [markdown]
# ## Watch the teacher
#
# The shipped teacher is a language model of two million parameters that was trained to play.

# %%
from duomem_jax.agents.player import Player
from duomem_jax.stages import play, show

teacher = Player("teacher", "tiny-teacher")
play(str(ROOT / "watched"), games, teacher)
print(show(str(ROOT / "watched")))

# %% [markdown]
# ## A memory
#
# A won game becomes a short script. Before a new game, scripts of tasks that are like it are
# retrieved and stand before the student's prompt.

# %%
from duomem_jax.memory import MemoryBank, make_embedder
from duomem_jax.stages import memories

generate(str(ROOT / "some"), count=12, seed=1)
play(str(ROOT / "some-episodes"), Games(str(ROOT / "some")), teacher)
memories(str(ROOT / "bank"), str(ROOT / "some-episodes"))
bank = MemoryBank.load(ROOT / "bank", make_embedder())
print("new task:", task.text)
for memory in bank.retrieve(task.text, k=2):
    print("\nremembered:", memory.key)
    print(memory.text)

# %% [markdown]
# ## Train, play and compare
#
# The whole experiment: the teacher plays games, its scripts become memories, a LoRA adapter is
# trained for the student on its replies, and every player plays the same new games. No adapter
# learns tasks of the kind *heat*: there, only memories can help.

# %%
import dataclasses

from duomem_jax.experiments.miniature import Miniature, run_miniature
from duomem_jax.experiments.quickstart import NEXT, quickstart_experiment

whole = quickstart_experiment(str(ROOT / "experiment"))
if SMOKE:
    whole = dataclasses.replace(
        whole,
        self_games=dataclasses.replace(whole.self_games, limit=8),
        train=dataclasses.replace(whole.train, steps=60, checkpoint_every=60),
        recipes=whole.recipes[:1],
        play=dataclasses.replace(whole.play, max_steps=25),
    )
sizes = (96, 24) if SMOKE else (240, 96)
print(run_miniature(Miniature(whole, *sizes), NEXT))

# %%
from IPython.display import Image, display

display(Image(str(ROOT / "experiment/success.png")))

# %% [markdown]
# Both ways help: without either the student wins next to nothing, and the teacher wins most games.

# %%
from duomem_jax.records import collect_results

won = {}
for row in collect_results([ROOT / "experiment/results"]):
    won.setdefault(row.subject, []).append(row.scores["success"])
rate = {subject: sum(scores) / len(scores) for subject, scores in won.items()}
print({subject: round(share, 2) for subject, share in rate.items()})
assert rate["no memory"] < 0.1
assert rate["teacher memory"] > rate["no memory"]
assert rate["LoRA"] > rate["no memory"]
assert rate["teacher"] > 0.75
