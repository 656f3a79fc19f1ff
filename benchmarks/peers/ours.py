"""duomem_jax: one jitted step on packed rows.

Options: none for text; `live FOLDER` for the forward KL to a teacher in the loop; `stored FOLDER K`
for the same to K candidates and a rest, which are made before.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from measure import arguments, report, sequence

from duomem_jax.labels.local import likeliest
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, model_shardings, put_batch, use_mesh
from duomem_jax.models.hf import load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.objectives import (
    Batch,
    LiveTargets,
    ObjectiveConfig,
    Stored,
    StoredTargets,
    Targets,
    TextTargets,
    Tokens,
)
from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import init_state, state_shardings
from duomem_jax.train.state.step import Frozen, Learner, jit_step

folder, length, steps, share, dtype = arguments()
kind, *options = sys.argv[6:] or ["text"]


def stored(tokens: Tokens, k: int) -> Stored:
    """Targets as a data set holds them, of the teacher of the options, some tokens at a time."""
    config, weights = load_pretrained(options[0], dtype)
    teacher = Model(config)
    replies = int(tokens.reply_BT[0, 1:].sum())
    written_BA = tokens.ids_BT[:, length - replies :]

    @jax.jit
    def states(weights):
        return teacher.hidden(weights, tokens.ids_BT, tokens.positions_BT, tokens.segments_BT)

    @jax.jit
    def candidates(weights, x_BCD, next_BC):
        return likeliest(teacher.head(weights)(x_BCD), next_BC, k, config.vocab_size)

    x_BAD = states(weights)[:, length - replies - 1 : length - 1]
    parts = [
        jax.device_get(candidates(weights, x_BAD[:, i : i + 64], written_BA[:, i : i + 64]))
        for i in range(0, replies, 64)
    ]
    ids_BAC, log_probs_BAC, rest_BA = (
        np.concatenate(part, axis=1) for part in zip(*parts, strict=True)
    )
    return Stored(ids_BAC, log_probs_BAC, np.ones((1, replies), bool), rest_BA)


mesh = make_mesh(MeshConfig(data=1), 1)
with use_mesh(mesh):
    model = Model(load_config(folder, dtype), LoraConfig(rank=8, alpha=16.0))
    shardings = model_shardings(model, mesh)
    tokens, learnt = sequence(length, share, model.config.vocab_size)
    student = Tokens(
        ids_BT=tokens.astype(np.int32),
        segments_BT=np.ones((1, length), np.int32),
        positions_BT=np.arange(length, dtype=np.int32)[None],
        reply_BT=learnt,
    )
    objective = ObjectiveConfig("forward_kl")
    targets: Targets = TextTargets()
    batch = Batch(student)
    if kind == "stored":
        targets = StoredTargets(objective)
        batch = Batch(student, stored=stored(student, int(options[1])))
    config, base = load_pretrained(folder, dtype, shardings=shardings["params"])
    frozen, places = Frozen(base), Frozen(shardings["params"])
    teacher = None
    if kind == "live":
        targets = LiveTargets(objective)
        config, weights = load_pretrained(options[0], dtype, shardings=shardings["params"])
        teacher = Model(config)
        frozen, places = Frozen(base, weights), Frozen(shardings["params"], shardings["params"])
    tx = make_optimizer(OptimizerConfig(learning_rate=1e-4), 100)
    lora = model.init_lora(jax.random.key(0))
    placed = state_shardings(tx, lora, shardings["lora"], mesh)
    state = init_state(tx, lora, placed, 0)
    jitted = jit_step(Learner(model, tx, targets, teacher), placed, places, mesh)
    batch = put_batch(batch, mesh)

    def step() -> float:
        """One update."""
        global state
        state, metrics = jitted(state, frozen, batch)
        total, weight = metrics["loss"]
        return float(jnp.asarray(total) / weight)

    report(step, steps)
