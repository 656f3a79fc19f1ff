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
# # Experts that keep a memory
#
# One small model reads a conversation, notes facts, keeps them true and answers from them: an
# expert for each operation, on one base (MemLoRA). The store is shown after each session.

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
print("\nexpected:", "three" if SMOKE else "ten", "minutes on two cores")

# %% [markdown]
# ## A conversation that nobody has seen
#
# Generated dialogues have facts that begin, change and end, and questions whose answers are known.

# %%
from pathlib import Path

from duomem_jax.stages import dialogues, show
from duomem_jax.worlds.dialogues import Size

ROOT = Path("runs/memory-experts")
SIZE = Size()
dialogues(str(ROOT / "train"), count=60 if SMOKE else 200, seed=1, size=SIZE)
dialogues(str(ROOT / "held-out"), count=4, seed=1, held_out=True, size=SIZE)
print(show(str(ROOT / "held-out"))[:2500])

# %% [markdown]
# ## Three experts
#
# Demonstrations by what is known of each dialogue; an adapter for each operation.

# %%
import dataclasses

from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.stages import Examples, demonstrations, examples
from duomem_jax.train.run import run

STEPS = 50 if SMOKE else 250
experts = {}
for operation in ("extract", "update", "answer"):
    shown, rows = str(ROOT / operation / "shown"), str(ROOT / operation / "rows")
    demonstrations(shown, str(ROOT / "train"), operation)
    examples(rows, "tiny-listener", demonstrations=(shown,), how=Examples(length=1024))
    config = dataclasses.replace(
        tiny_training(steps=STEPS, warmup_steps=10),
        base="tiny-listener",
        data=rows,
        output=str(ROOT / operation / "training"),
    )
    experts[operation] = str(run(config))

# %% [markdown]
# ## The store, session by session

# %%
from duomem_jax.memory import Store, make_embedder
from duomem_jax.memory.operations.keeper import ModelKeeper
from duomem_jax.memory.operations.models import Models
from duomem_jax.records import read_dialogues
from duomem_jax.speak.served.server import Server

talk = read_dialogues(ROOT / "held-out")[0]
models = Models("tiny-listener", **experts)
(ROOT / "kept.sqlite").unlink(missing_ok=True)
with models.open(Server(), ROOT / "asked") as open_models:
    keeper = ModelKeeper(open_models)
    with Store.open(ROOT / "kept.sqlite", embedder=make_embedder(), keeper=keeper) as store:
        for session in talk.sessions[:4]:
            store.remember(session.turns, at=session.at)
            print(f"\nafter {session.at}:")
            for entry in store.entries():
                print(f"  {entry.id:3} (version {entry.version}) {entry.text}")
        for question in talk.questions[:5]:
            said = store.answer(question.text).text
            print(f"\n{question.text}\n  {said}  (key: {question.answer})")

# %% [markdown]
# ## How well
#
# All questions about four held-out dialogues: with the evidence itself before each question, with
# and without the answer expert.

# %%
from IPython.display import Image, display

from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.stages import locomo

for name, answer in (("gold evidence", ""), ("gold evidence, expert", experts["answer"])):
    assistant = Assistant(name, Models("tiny-listener", answer=answer), "evidence")
    locomo.run(str(ROOT / "answers"), str(ROOT / "held-out"), assistant)
report = locomo.score(str(ROOT / "answers"))
print(report.read_text())
display(Image(str(report.with_name("f1.png"))))

# %%
from duomem_jax.evals.dialogues.metrics import key_of, locomo_f1
from duomem_jax.records.answers import collect_answers

f1 = {}
for row in collect_answers(ROOT / "answers"):
    f1.setdefault(row.subject, []).append(
        locomo_f1(row.answer, key_of(row.question), row.question.kind)
    )
mean = {subject: sum(scores) / len(scores) for subject, scores in f1.items()}
print(mean)
assert mean["gold evidence, expert"] > mean["gold evidence"] + 0.05
