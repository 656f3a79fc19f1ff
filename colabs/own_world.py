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
# # Your own world
#
# A text environment in forty lines: played, remembered, distilled into a model that has never seen
# anything like it. Here somebody thinks of a number, and a player finds it by halving.

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
print("\nexpected: two minutes on two cores")

# %% [markdown]
# ## The world
#
# Tasks, an environment for each, a prompt for models that do not know it, a rule-based player, and
# what a won game is remembered by.

# %%
import re
from pathlib import Path
from typing import ClassVar

from duomem_jax.worlds import WORLDS, Move, Step, Task, World

TASK = "find the number between 1 and 8."


class Guess:
    """One number to be found."""

    def __init__(self, number):
        self.number = number

    def reset(self):
        return f"Somebody thinks of a number. Your task is to: {TASK}"

    def step(self, command):
        number = re.search(r"\d+", command)
        if number is None:
            return Step("Say a number.", False, 0.0)
        guess = int(number[0])
        if guess == self.number:
            return Step("That is it.", True, 1.0)
        return Step("It is more." if guess < self.number else "It is less.", False, 0.0)


class Halving:
    """A player that halves what is left."""

    def reset(self, first_observation):
        self.low, self.high, self.guess = 1, 8, None

    def act(self, observation):
        if self.guess is not None:
            if "more" in observation:
                self.low = self.guess + 1
            else:
                self.high = self.guess - 1
        self.guess = (self.low + self.high) // 2
        return Move(f"Between {self.low} and {self.high}.", f"say {self.guess}")


class Numbers(World):
    """A file of numbers, a task each."""

    name = "numbers"
    prompt = "Find the number by halving. Answer in two lines: Thought: ... and Action: say NUMBER."
    kinds: ClassVar = {"guess": "guess"}
    players: ClassVar = {"halving": Halving}
    writers: ClassVar = {"script": lambda episode: "1. say the middle of what is left."}

    def tasks(self, path, split=""):
        numbers = Path(path).read_text().split()
        return [Task(f"{i}-{n}", TASK, "guess") for i, n in enumerate(numbers)]

    def open(self, task):
        return Guess(int(task.id.split("-")[1]))


WORLDS["numbers"] = Numbers

# %% [markdown]
# ## Play and remember

# %%
from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player
from duomem_jax.stages import examples, memories, play, show
from duomem_jax.worlds.games import Games

ROOT = Path("runs/own-world")
ROOT.mkdir(parents=True, exist_ok=True)
(ROOT / "numbers.txt").write_text(" ".join(str(1 + i % 8) for i in range(48)))
games = Games(str(ROOT / "numbers.txt"), world="numbers")
play(str(ROOT / "episodes"), games, Player("halving", "halving"), Play(max_steps=4))
memories(str(ROOT / "memories"), str(ROOT / "episodes"))
print(show(str(ROOT / "episodes")))
print(show(str(ROOT / "memories")))

# %% [markdown]
# ## Distil
#
# The shipped student knows the words of households and no others. All of its weights are trained,
# since an adapter leaves the table of words as it is; a real language model needs an adapter alone.

# %%
import dataclasses

from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.stages import evaluate
from duomem_jax.train.run import run

examples(str(ROOT / "rows"), "tiny-student", str(ROOT / "episodes"))
config = tiny_training(steps=60 if SMOKE else 150, warmup_steps=10)
config = dataclasses.replace(
    config,
    base="tiny-student",
    data=str(ROOT / "rows"),
    output=str(ROOT / "training"),
    trainable="all",
)
distilled = run(config)

# %%
from IPython.display import Image, display

from duomem_jax.agents.play import Talk

how = Play(max_steps=6)
each = dataclasses.replace(games, limit=8)  # every number once
for name, model in (("student", "tiny-student"), ("distilled", str(distilled))):
    player = Player(name, model, talk=Talk("@/dev/null"))
    report = evaluate(str(ROOT / "results"), each, player, how)
print(report.read_text())
display(Image(str(report.with_name("success.png"))))

# %%
from duomem_jax.records import collect_results

won = {}
for row in collect_results([ROOT / "results"]):
    won.setdefault(row.subject, []).append(row.scores["success"])
rate = {subject: sum(scores) / len(scores) for subject, scores in won.items()}
print(rate)
assert rate["student"] < 0.5
assert rate["distilled"] > 0.8
