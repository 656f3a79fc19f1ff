"""One training run: mesh, data, state, loop, export."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import as_path
from duomem_jax.lora.peft import load_adapter, save_adapter
from duomem_jax.lora.tree import count
from duomem_jax.mesh.hosts import gathered, is_first, meet, say
from duomem_jax.mesh.sharding import make_mesh, model_shardings, places, put_batch, use_mesh
from duomem_jax.models.hf import copy_tokenizer, fingerprint, save_pretrained
from duomem_jax.models.hf import load_config as load_model_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.models.model import Model
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.loop import Fetch, Loop
from duomem_jax.train.on_policy import Rollouts
from duomem_jax.train.output import check_output, claim, describe
from duomem_jax.train.rows import check_rows, stored_batches
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.sizes import held_bytes
from duomem_jax.train.state.state import TrainState, init_state, state_shardings
from duomem_jax.train.state.step import Frozen, Task, jit_step
from duomem_jax.train.teacher import find_teacher, load_teacher
from duomem_jax.train.validation import HeldOut
from duomem_jax.train.watch.goodput import Stopwatch, summary


def find_base(config: TrainConfig) -> str:
    """The folder of the base model; a hub id is downloaded."""
    try:
        return model_path(config.base)
    except UserError as e:
        raise UserError(f"config: field base is {e}") from None


def make_model(config: TrainConfig, folder: str) -> Model:
    """The model to train, without its weights."""
    if config.quantize and config.trainable == "all":
        raise UserError("config: quantize is for a frozen base; set trainable to lora")
    shape = load_model_config(folder, config.dtype)
    return Model(shape, config.lora if config.trainable == "lora" else None, config.remat)


def load_trees(
    config: TrainConfig, model: Model, folder: str, base_id: str, shardings: Any
) -> tuple[Any, Any]:
    """(trained tree, frozen base or None), in place on the mesh."""
    if config.trainable == "all":
        return load_pretrained(folder, "float32", shardings["params"])[1], None
    _, base = load_pretrained(folder, config.dtype, shardings["params"], config.quantize)
    if not config.adapter:
        make = jax.jit(model.init_lora, out_shardings=shardings["lora"])
        return make(jax.random.key(config.seed)), base
    lora, found = load_adapter(config.adapter, model, base_id)
    if found != config.lora:
        raise UserError(
            f"{config.adapter}/adapter_config.json: rank, alpha or targets are not those of "
            f"field lora; set it to {found}"
        )
    return jax.device_put(lora, shardings["lora"]), base


@contextlib.contextmanager
def stored_rows(config: TrainConfig, start_step: int, mesh: Mesh) -> Iterator[Fetch]:
    """The rows of `config.data`, which do not depend on what was learnt."""
    here = places(mesh)
    stored = stored_batches(config, config.data, start_step, here.held, here.count)
    with contextlib.closing(stored) as rows:
        yield lambda done, params: (put_batch(next(rows), mesh), {})


def own_rows(rollouts: Rollouts, mesh: Mesh) -> Fetch:
    """Rows that the student plays with what it has learnt."""

    def fetch(done: int, params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        batch, made = rollouts.batch(done, params)
        return put_batch(batch, mesh), made

    return fetch


def check_data(config: TrainConfig, model: Model) -> None:
    """Raise UserError when rows cannot be read or were made for another vocabulary."""
    if config.on_policy.games:
        if config.validation:
            raise UserError("config: validation needs stored rows; leave on_policy.games empty")
        return
    for folder in filter(None, (config.data, config.validation)):
        check_rows(config, folder, model)


def export(config: TrainConfig, model: Model, state: TrainState, base: str, base_id: str) -> Path:
    """Write the result where others can open it: a PEFT or a Hugging Face folder."""
    params, step = gathered(state.params), int(state.step)
    folder = as_path(config.output) / ("adapter" if config.trainable == "lora" else "model")
    if not is_first():
        return folder
    if config.trainable == "lora":
        save_adapter(
            folder,
            params,
            config.lora,
            base_id,
            base_name=config.base,
            notes=describe(config, base_id) | {"step": step, "command": shlex.join(sys.argv)},
        )
    else:
        save_pretrained(folder, model.config, params, config.dtype)
        copy_tokenizer(base, folder)
    return folder


def run(config: TrainConfig) -> Path:
    """One whole training run; returns the folder of its result."""
    watch = Stopwatch()
    base_folder = find_base(config)
    model = make_model(config, base_folder)
    check_output(config)
    meet("checked")  # before the first host claims the folder
    check_data(config, model)
    teacher_folder = find_teacher(config, base_folder)
    shared = teacher_folder == base_folder and config.trainable == "lora" and not config.quantize
    teacher = Model(load_model_config(teacher_folder, config.dtype)) if teacher_folder else None
    held = held_bytes(config, model, None if shared else teacher)
    mesh = make_mesh(config.mesh, config.global_batch, held)
    shardings = model_shardings(model, mesh)
    base_id = fingerprint(base_folder)
    part = "lora" if config.trainable == "lora" else "params"
    with use_mesh(mesh):
        params, base = load_trees(config, model, base_folder, base_id, shardings)
        output = claim(config)  # only now: a refused run leaves nothing behind
        tx = make_optimizer(config.optimizer, config.steps)
        state_sh = state_shardings(tx, params, shardings[part], mesh)
        state = init_state(tx, params, state_sh, config.seed)
        share = held / (mesh.size // mesh.shape["data"]) / 2**20
        say(
            f"{count(params):,} trained parameters, mesh {dict(mesh.shape)}, {share:,.0f} MiB of "
            "weights and optimizer on each device"
        )
        frozen = Frozen(base)
        if teacher is not None:
            weights = base if shared else load_teacher(config, teacher, teacher_folder, mesh)
            frozen = Frozen(base, weights)
        task = Task(model, tx, config.objective, teacher)
        step_fn = jit_step(task, state_sh, jax.tree.map(lambda x: x.sharding, frozen), mesh)
        failed = True
        saver = Checkpoints(
            output / "checkpoints", part, config.checkpoint_every, describe(config, base_id)
        )
        try:
            state = saver.restore(state, state_sh) or state
            with contextlib.ExitStack() as stack:
                if config.on_policy.games:
                    assert teacher is not None
                    student = model, base, state.params
                    taught = teacher, frozen.teacher
                    fetch = own_rows(Rollouts(config, base_folder, student, taught), mesh)
                else:
                    fetch = stack.enter_context(stored_rows(config, int(state.step), mesh))
                held_out = HeldOut(config, task, mesh) if config.validation else None
                state = Loop(config, step_fn, frozen, fetch, saver, held_out, watch).run(state)
            best = saver.best() if config.validation else None
            if best is not None and best != int(state.step):
                say(f"step {best} has the least loss on {config.validation}")
                state = saver.load(best, state, state_sh)
            failed = False
        finally:
            saver.close(failed=failed)
    with explain_full_disk(output):
        folder = export(config, model, state, base_folder, base_id)
    meet("exported")  # none leaves before the first host has written the result
    say(summary(watch.seconds()))
    return folder
