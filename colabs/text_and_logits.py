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
# # Text against logits
#
# A student can learn the tokens that a teacher wrote, or the teacher's whole distribution at each
# of them. Here both views of the same reply stand side by side, and adapters are trained on both.

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
print("\nexpected: three minutes on two cores")

# %% [markdown]
# ## What the teacher wrote, and what it thought
#
# Won games become packed rows; what carries loss stands in quotation marks.

# %%
from pathlib import Path

from duomem_jax.agents.player import Player
from duomem_jax.stages import examples, generate, play, show
from duomem_jax.worlds.games import Games

ROOT = Path("runs/text-and-logits")
GAMES = 48 if SMOKE else 240
generate(str(ROOT / "games"), count=GAMES, seed=1)
play(str(ROOT / "episodes"), Games(str(ROOT / "games")), Player("teacher", "tiny-teacher"))
examples(str(ROOT / "rows"), "tiny-student", str(ROOT / "episodes"))
print(show(str(ROOT / "rows"), tokenizer="tiny-student")[:1500])

# %% [markdown]
# The teacher's distribution at the first tokens of a reply: what it would have written instead.

# %%
import numpy as np

from duomem_jax.models.shipped import model_folder
from duomem_jax.records import read_dataset
from duomem_jax.stages import Label, label
from duomem_jax.text import load_tokenizer

label(str(ROOT / "labelled"), str(ROOT / "rows"), "tiny-teacher", how=Label(k=8))
tokenizer = load_tokenizer(model_folder("tiny-student"))
row = read_dataset(ROOT / "labelled", "train")[0]
written = row["tokens"][row["loss_mask"] > 0]
for place in range(12):
    ids, probabilities = row["target_ids"][place], np.exp(row["target_log_probs"][place])
    views = [f"{tokenizer.decode([ids[i]])!r} {probabilities[i]:.2f}" for i in range(3)]
    print(f"{tokenizer.decode([written[place]])!r:16}", "   ".join(views))

# %% [markdown]
# ## Objectives side by side
#
# The same rows, the same steps, another loss each. The distance is the KL divergence from the
# teacher on games that nobody was trained on, in nats a token.

# %%
import dataclasses

from duomem_jax.evals import measure_fidelity
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.objectives import ObjectiveConfig
from duomem_jax.train.run import run

generate(str(ROOT / "new-games"), count=24, seed=2)
play(str(ROOT / "probe"), Games(str(ROOT / "new-games")), Player("teacher", "tiny-teacher"))
examples(str(ROOT / "probe-rows"), "tiny-student", str(ROOT / "probe"))
ways = {
    "text": ("rows", ObjectiveConfig()),
    "stored logits": ("labelled", ObjectiveConfig("forward_kl")),
}
if not SMOKE:
    ways["reverse KL"] = ("labelled", ObjectiveConfig("reverse_kl"))
distances = {}
student = str(model_folder("tiny-student"))
teacher = str(model_folder("tiny-teacher"))
for name, (rows, objective) in ways.items():
    config = dataclasses.replace(
        tiny_training(steps=50 if SMOKE else 150, warmup_steps=10),
        base=student,
        data=str(ROOT / rows),
        output=str(ROOT / name.replace(" ", "-")),
        objective=objective,
    )
    adapter = run(config)
    found = measure_fidelity(student, teacher, ROOT / "probe-rows", adapter=str(adapter))
    distances[name] = found.forward_kl
    print(f"{name:14} KL {found.forward_kl:.4f}  same likeliest token {found.agreement:.3f}")
untrained = measure_fidelity(student, teacher, ROOT / "probe-rows").forward_kl

# %% [markdown]
# Either way the student comes far nearer to its teacher than it was.

# %%
print(f"untrained {untrained:.3f}", distances)
assert all(distance < 0.25 * untrained for distance in distances.values())
