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
# # A memory with pictures
#
# People share pictures, and later ask about them. A caption seldom says what is asked. Here a model
# that sees keeps the picture and looks at it again (MemLoRA-V), with an expert for looking.

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
print("\nexpected:", "two" if SMOKE else "three", "minutes on two cores, or less")

# %% [markdown]
# ## A picture that is shared
#
# Rendered, so that everything that can be asked about it is known. `tiny-seer` ships with the
# package; SmolVLM and InternVL3 go through the same calls.

# %%
from pathlib import Path

from IPython.display import display

from duomem_jax.worlds.pictures import render

ROOT, MODEL = Path("runs/memory-pictures"), "tiny-seer"
ROOT.mkdir(parents=True, exist_ok=True)
signs = (render(3, i, held_out=True) for i in range(100))
picture = next(p for p in signs if p.kind == "sign" and "street" in p.caption)
picture.image.save(ROOT / "shared.png")
display(picture.image)
print(f"caption: {picture.caption}")
for asked in picture.asked:
    print(f"{asked.text}  {asked.answer}" + ("  (the caption says it)" if asked.told else ""))

# %% [markdown]
# ## An expert that looks
#
# It learns from dialogues in which pictures are shared. What the tower sees is stored once, so
# training runs the decoder alone.

# %%
import dataclasses

from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.stages import Examples, demonstrations, dialogues, examples, pictures
from duomem_jax.train.run import run

told, shown, seen, rows = (str(ROOT / name) for name in ("dialogues", "chats", "seen", "rows"))
dialogues(told, count=40 if SMOKE else 200, seed=1, pictures=4)
demonstrations(shown, told, "look")
pictures(seen, (shown,), MODEL)
examples(rows, MODEL, demonstrations=(shown,), pictures=seen, how=Examples(length=512))
config = dataclasses.replace(
    tiny_training(steps=60 if SMOKE else 200, warmup_steps=10),
    base=MODEL,
    data=rows,
    pictures=seen,
    output=str(ROOT / "training"),
)
expert = str(run(config))

# %% [markdown]
# ## Remembered, and asked about
#
# The store keeps the picture under the hash of its bytes, beside the memory it belongs to.

# %%
from duomem_jax.memory import Store
from duomem_jax.memory.operations.keeper import ModelKeeper
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.store.keeper import Verbatim
from duomem_jax.records.dialogues import Turn
from duomem_jax.speak.served.server import Server

STORE = ROOT / "kept.sqlite"
STORE.unlink(missing_ok=True)
turns = [
    Turn("1", "Ann", "I saw this sign on my way.", caption=picture.caption),
    Turn("2", "Bob", "I start at the harbour office on Monday."),
]
with Store.open(STORE, keeper=Verbatim()) as store:
    store.remember(turns, at="2026-03-05T12:00:00Z", pictures={"1": ROOT / "shared.png"})
    for entry in store.entries():
        print(entry.id, entry.text, [kept.sha256[:8] for kept in entry.pictures])

# %%
answers = {}
for who, look in (("model alone", ""), ("look expert", expert)):
    with (
        Models(MODEL, look=look).open(Server(), ROOT / "asked") as experts,
        Store.open(STORE, keeper=ModelKeeper(experts)) as store,
    ):
        for asked in picture.asked:
            query = f"Ann shared a sign on 5 March 2026. {asked.text}"
            answers[who, asked.text] = store.answer(query).text
            print(f"{who}: {asked.text}  {answers[who, asked.text]}  (key: {asked.answer})")
assert answers["look expert", "What does the sign say?"] == picture.asked[0].answer

# %% [markdown]
# ## Erased
#
# Who erases a memory erases its picture.

# %%
with Store.open(STORE) as store:
    before = store.pictures.names()
    store.forget(ids=[entry.id for entry in store.entries() if entry.pictures])
    print(f"{len(before)} picture before, {len(store.pictures.names())} after")
    assert not store.pictures.names()
