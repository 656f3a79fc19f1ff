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
# # Your own student
#
# A model of your choice, a hub id, a folder or a GGUF file, learns to play from a few won games.
# What comes out is an adapter that PEFT opens.

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
print("\nexpected: three minutes on two cores with the shipped student")

# %%
# @title Model
MODEL = "tiny-student"  # @param ["tiny-student", "smollm2", "Qwen/Qwen3-0.6B"] {allow-input: true}

# The hub's key, where a model is gated: Colab's secrets, or the environment.
try:
    from google.colab import userdata

    os.environ.setdefault("HF_TOKEN", userdata.get("HF_TOKEN"))
except Exception:  # not in Colab, or no such secret
    pass
REAL = not MODEL.startswith("tiny")

# %% [markdown]
# ## What it knows so far
#
# A model that was never trained on these games is told the rules (`@play`).

# %%
from pathlib import Path

from duomem_jax.agents.play import Play, Talk
from duomem_jax.agents.player import Player
from duomem_jax.stages import evaluate, examples, generate, memories, play
from duomem_jax.worlds.games import Games

ROOT = Path("runs/own-student")
SYSTEM = "@play" if REAL else "@/dev/null"
generate(str(ROOT / "games"), count=48, seed=1)
generate(str(ROOT / "new-games"), count=12, seed=2)
new, how = Games(str(ROOT / "new-games")), Play(max_steps=15)
before = Player("before", MODEL, talk=Talk(SYSTEM))
evaluate(str(ROOT / "results"), new, before, how)

# %% [markdown]
# ## Learn from a teacher's won games
#
# Rows are packed with the student's own tokenizer, half of them with memories before the game.

# %%
import dataclasses

from duomem_jax.experiments.real import real_training
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.stages import Examples
from duomem_jax.train.run import run

play(str(ROOT / "episodes"), Games(str(ROOT / "games")), Player("expert", "expert"))
memories(str(ROOT / "memories"), str(ROOT / "episodes"))
packing = Examples(system=SYSTEM if REAL else "")
rows = str(ROOT / "rows")
examples(rows, MODEL, str(ROOT / "episodes"), memory=str(ROOT / "memories"), how=packing)
usual = real_training(str(ROOT)) if REAL else tiny_training(steps=80 if SMOKE else 150)
config = dataclasses.replace(usual, base=MODEL, data=rows, output=str(ROOT / "training"))
adapter = run(config)

# %%
from IPython.display import Image, display

from duomem_jax.agents.play import Recall
from duomem_jax.speak import Local

after = Player(
    "after",
    MODEL,
    recall=Recall(str(ROOT / "memories")),
    local=Local(adapter=str(adapter)),
)
report = evaluate(str(ROOT / "results"), new, after, how)
print(report.read_text())
display(Image(str(report.with_name("success.png"))))

# %% [markdown]
# ## Take it elsewhere
#
# The exported folder has a model card, and PEFT reads it. Merged into its base it is a model that
# transformers opens, and llama.cpp's converter takes.

# %%
from duomem_jax.stages import export, show

print(export(str(ROOT / "shared"), str(adapter)))
print(show(str(ROOT / "shared")))

# %%
from duomem_jax.records import collect_results

won = {}
for row in collect_results([ROOT / "results"]):
    won.setdefault(row.subject, []).append(row.scores["success"])
rate = {subject: sum(scores) / len(scores) for subject, scores in won.items()}
print(rate)
assert (ROOT / "shared/adapter_model.safetensors").exists()
assert rate["after"] > rate["before"]
