"""One training run: plan, weights, state, loop, result."""

import contextlib
import json
import logging
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from duomem_jax.base.io import as_path, atomic_dir
from duomem_jax.lora.peft import NOTES, load_adapter, save_adapter
from duomem_jax.lora.tree import count
from duomem_jax.mesh.hosts import gathered, is_first, meet
from duomem_jax.mesh.sharding import model_shardings, use_mesh
from duomem_jax.models.hf import copy_tokenizer, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import public_name
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.feed import Feed, StoredRows
from duomem_jax.train.loop import Loop
from duomem_jax.train.on_policy import PlayedRows
from duomem_jax.train.output import check_output, claimed, describe
from duomem_jax.train.plan import Plan, missing_targets, plan
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import TrainState, Tree, init_state, state_shardings
from duomem_jax.train.state.step import Frozen, Learner, jit_step
from duomem_jax.train.validation import Validation
from duomem_jax.train.watch.goodput import Stopwatch, summary

log = logging.getLogger(__name__)


def run(config: TrainConfig) -> Path:
    """One whole training run; the folder of its result.

    Raises:
        UserError: bad input, an output folder of another run, or a loss that is not a number.
        StoppedError: the machine is to be taken away; the same command continues.
    """
    watch = Stopwatch()
    # Asked again in `claimed`; here it refuses before anything is loaded.
    check_output(config)
    meet("checked")  # before the first host claims the folder
    planned = plan(config)
    # Sharding constraints and kernels follow the current mesh while a model is traced.
    with use_mesh(planned.mesh), open_run(planned) as opened:
        # While the checkpoints are open: the best one may have to be loaded.
        state = _chosen(opened, _loop(opened, watch))
        folder = export(planned, state)
    meet("exported")  # none leaves before the first host has written the result
    log.info(summary(watch.seconds()))
    return folder


@dataclass(frozen=True)
class Run:
    """A run that is ready to go on.

    Attributes:
        plan: what it is to do.
        learner: what is fixed about its steps.
        frozen: weights that stay as they are, on the mesh.
        state: at its start, or of the last checkpoint.
        shardings: of the state.
        saver: of its checkpoints.
    """

    plan: Plan
    learner: Learner
    frozen: Frozen
    state: TrainState
    shardings: TrainState
    saver: Checkpoints


@contextlib.contextmanager
def open_run(plan: Plan) -> Iterator[Run]:
    """Load weights, claim the output folder, and restore the last checkpoint if there is one."""
    weights = load_weights(plan)
    # Only now: a refused run leaves nothing behind.
    with claimed(plan.config) as output, _opened(plan, *weights, output) as run:
        yield run


@contextlib.contextmanager
def _opened(plan: Plan, params: Tree, frozen: Frozen, output: Path) -> Iterator[Run]:
    config = plan.config
    tx = make_optimizer(config.optimizer, config.steps)
    where = model_shardings(plan.model, plan.mesh)[plan.trained]
    shardings = state_shardings(tx, params, where, plan.mesh)
    # Made even when a checkpoint follows: it is the structure that `restore` fills.
    state = init_state(tx, params, shardings, config.seed)
    _tell(plan, params)
    folder, facts = output / "checkpoints", describe(plan)
    teacher = plan.teacher.model if plan.teacher else None
    learner = Learner(plan.model, tx, plan.targets, teacher)
    with Checkpoints(folder, plan.trained, config.checkpoint_every, facts) as saver:
        state = saver.restore(state, shardings) or state
        yield Run(plan, learner, frozen, state, shardings, saver)


def load_weights(plan: Plan) -> tuple[Tree, Frozen]:
    """(the trained tree, what stays as it is), in place on the mesh."""
    config, shardings = plan.config, model_shardings(plan.model, plan.mesh)
    if plan.trained == "params":
        # `dtype` is that of the compute. Trained trees are float32, or small updates are rounded
        # away.
        params = load_pretrained(plan.folder, "float32", shardings["params"])[1]
        return params, Frozen(None, _teacher_weights(plan))
    _, base = load_pretrained(plan.folder, config.dtype, shardings["params"], config.quantize)
    frozen = Frozen(base, _teacher_weights(plan))
    if config.adapter:
        given = load_adapter(config.adapter, plan.model, plan.base_id, plan.naming)
        return jax.device_put(given.tree, shardings["lora"]), frozen
    # Under jit with shardings each device makes its own part; nothing is made whole first.
    make = jax.jit(plan.model.init_lora, out_shardings=shardings["lora"])
    return make(jax.random.key(config.seed)), frozen


def _teacher_weights(plan: Plan) -> Tree | None:
    if plan.teacher is None or plan.teacher.shares_base:
        return None
    # Without `quantize`: the teacher is the model that was named, however the student's base is
    # stored.
    where = model_shardings(plan.teacher.model, plan.mesh)["params"]
    return load_pretrained(plan.teacher.folder, plan.config.dtype, where)[1]


def _tell(plan: Plan, params: Tree) -> None:
    mesh = plan.mesh
    # Along `data` there are copies; `fsdp` and `tensor` are what splits the weights.
    share = plan.held / (mesh.size // mesh.shape["data"]) / 2**20
    log.info(
        f"{count(params):,} trained parameters, mesh {dict(mesh.shape)}, {share:,.0f} MiB of "
        "weights and optimizer on each device"
    )
    if plan.targets.needs.stored and plan.rows and (sentence := missing_targets(plan.rows)):
        log.warning(sentence)


def _loop(run: Run, watch: Stopwatch) -> TrainState:
    """Do the remaining steps."""
    plan, learner = run.plan, run.learner
    # Asked of the arrays: a quantised kernel has leaves that `model_shardings` does not know.
    where = jax.tree.map(lambda x: x.sharding, run.frozen)
    step = jit_step(learner, run.shardings, where, plan.mesh)
    validation = Validation(plan, learner) if plan.validation else None
    with contextlib.closing(_feed(run)) as feed:
        loop = Loop(plan.config, step, run.frozen, feed, run.saver, validation, watch)
        return loop.run(run.state)


def _feed(run: Run) -> Feed:
    if run.plan.rows is None:
        return PlayedRows(run.plan, run.frozen, run.state.params)
    # Rows depend on the step alone, so a resumed run only has to name its step.
    return StoredRows(run.plan, run.plan.rows.folder, int(run.state.step))


def _chosen(run: Run, state: TrainState) -> TrainState:
    """The state to export: the last one, or the one with the least loss on validation rows."""
    best = run.saver.best() if run.plan.validation else None
    if best is None or best == int(state.step):
        return state
    log.info(f"step {best} has the least loss on {run.plan.config.validation}")
    return run.saver.load(best, state, run.shardings)


def export(plan: Plan, state: TrainState) -> Path:
    """Write the result where others can open it: a PEFT or a Hugging Face folder."""
    # Before `is_first` is asked: all hosts must take part in the gathering.
    config, params, step = plan.config, gathered(state.params), int(state.step)
    folder = as_path(config.output) / ("adapter" if plan.trained == "lora" else "model")
    # Weights are there last: a finished run that is started again leaves its result as it is.
    if not is_first() or any(folder.glob("*.safetensors")):
        return folder
    # `duomem export` makes its card from these notes: the folder of rows may hold others by then.
    notes = describe(plan) | {"step": step, "command": shlex.join(sys.argv)}
    if plan.trained == "params":
        with atomic_dir(folder) as tmp:
            save_pretrained(tmp, plan.model.config, params, config.dtype, plan.folder)
            copy_tokenizer(plan.folder, tmp)
            # After the tokenizer, beside which the base's own notes may have been.
            (tmp / NOTES).write_text(json.dumps(notes, indent=2) + "\n")
        return folder
    save_adapter(
        folder,
        params,
        config.lora,
        plan.base_id,
        base_name=public_name(config.base),
        naming=plan.naming,
        notes=notes,
    )
    return folder
