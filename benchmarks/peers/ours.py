"""duomem_jax: one jitted step on packed rows."""

import jax
import jax.numpy as jnp
import numpy as np
from measure import arguments, report, sequence

from duomem_jax.config import MeshConfig, OptimizerConfig
from duomem_jax.lora.config import LoraConfig
from duomem_jax.lora.tree import init_lora
from duomem_jax.models.hf import load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.train.optimizer import make_optimizer
from duomem_jax.train.sharding import make_mesh, model_shardings, put_batch, use_mesh
from duomem_jax.train.state import init_state, state_shardings
from duomem_jax.train.step import Frozen, Task, jit_step

folder, length, steps, share, dtype = arguments()
mesh = make_mesh(MeshConfig(data=1), 1)
with use_mesh(mesh):
    model = Model(load_config(folder, dtype), LoraConfig(rank=8, alpha=16.0))
    shardings = model_shardings(model, mesh)
    config, base = load_pretrained(folder, dtype, shardings=shardings["params"])
    tx = make_optimizer(OptimizerConfig(learning_rate=1e-4), 100)
    lora = init_lora(model, jax.random.key(0))
    placed = state_shardings(tx, lora, shardings["lora"], mesh)
    state = init_state(tx, lora, placed, 0)
    tokens, learnt = sequence(length, share, config.vocab_size)
    batch = {
        "tokens": tokens.astype(np.int32),
        "segment_ids": np.ones((1, length), np.int32),
        "positions": np.arange(length, dtype=np.int32)[None],
        "loss_mask": learnt.astype(np.int32),
    }
    batch = put_batch(batch, mesh)
    jitted = jit_step(Task(model, tx), placed, Frozen(shardings["params"]), mesh)

    def step() -> float:
        """One update."""
        global state
        state, metrics = jitted(state, Frozen(base), batch)
        total, weight = metrics["loss"]
        return float(jnp.asarray(total) / weight)

    report(step, steps)
