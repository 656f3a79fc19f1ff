"""The train step and the decode step of a config, compiled from shapes alone."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.mesh.sharding import BATCH, make_mesh, model_shardings, use_mesh
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model
from duomem_jax.models.shapes import weight_shapes
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.sizes import held_bytes, state_shapes
from duomem_jax.train.state.state import state_shardings
from duomem_jax.train.state.step import FIELDS, Frozen, Task, jit_step


class Rows(NamedTuple):
    """What the data would say of a batch."""

    length: int  # T
    replies: int  # M, reply tokens a row has at most
    candidates: int  # C, stored targets a reply token; 0: none


def plan_mesh(
    config: TrainConfig, model: Model, teacher: Model | None, devices: Sequence[Any]
) -> Mesh:
    """The mesh that training would make of these devices."""
    held = held_bytes(config, model, teacher)
    return make_mesh(config.mesh, config.global_batch, held, devices)


def compile_train(
    config: TrainConfig, model: Model, teacher: Model | None, mesh: Mesh, rows: Rows
) -> jax.stages.Compiled:
    """One step of `train.state.step.jit_step`, as `train.run` makes it."""
    shardings = model_shardings(model, mesh)
    tx = make_optimizer(config.optimizer, config.steps)
    with use_mesh(mesh):
        state = state_shapes(config, model)
        part = "lora" if config.trainable == "lora" else "params"
        state_sh = state_shardings(tx, state.params, shardings[part], mesh)
        base = None
        if config.trainable == "lora":
            base = weight_shapes(model, config.dtype, config.quantize, shardings["params"])
        weights = None
        if teacher is not None:
            where = model_shardings(teacher, mesh)["params"]
            weights = weight_shapes(teacher, config.dtype, shardings=where)
        frozen = Frozen(base, weights)
        task = Task(model, tx, config.objective, teacher)
        step = jit_step(task, state_sh, jax.tree.map(lambda x: x.sharding, frozen), mesh)
        return step.lower(state, frozen, batch_shapes(config.global_batch, rows)).compile()


def batch_shapes(batch: int, rows: Rows) -> dict[str, jax.ShapeDtypeStruct]:
    """A global batch as `data.loader.batches` gives it, as shapes."""
    B, (T, M, C) = batch, rows
    shapes = {name: jax.ShapeDtypeStruct((B, T), jnp.int32) for name in FIELDS}
    shapes["loss_mask"] = jax.ShapeDtypeStruct((B, T), jnp.float32)
    if not C:
        return shapes
    return shapes | {
        "target_ids": jax.ShapeDtypeStruct((B, M, C), jnp.int32),
        "target_log_probs": jax.ShapeDtypeStruct((B, M, C), jnp.float16),
        "target_rest": jax.ShapeDtypeStruct((B, M), jnp.float16),
        "target_mask": jax.ShapeDtypeStruct((B, M), jnp.uint8),
    }


def compile_decode(
    config: TrainConfig, model: Model, mesh: Mesh, rows: Rows
) -> jax.stages.Compiled:
    """One new token in each of `global_batch` rows whose caches hold up to `rows.length`."""
    B = config.global_batch
    shardings = model_shardings(model, mesh)
    with use_mesh(mesh):
        base = _layers_apart(
            weight_shapes(model, config.dtype, config.quantize, shardings["params"])
        )
        lora = None
        if model.lora is not None:
            shapes = jax.tree.map(_placed, model.shapes()["lora"], shardings["lora"])
            lora = _layers_apart(shapes)
        cache = jax.eval_shape(lambda: model.init_cache(B, rows.length))
        cache = jax.tree.map(_placed, cache, cache.shardings(mesh))
        token_B1 = jax.ShapeDtypeStruct((B, 1), jnp.int32, sharding=NamedSharding(mesh, BATCH))
        step = jax.jit(functools.partial(decode_step, model), donate_argnums=2)
        return step.lower(base, lora, cache, token_B1).compile()


def decode_step(
    model: Model, base: Any, lora: Any, cache: KVCache, token_B1: jax.Array
) -> tuple[jax.Array, KVCache]:
    """The likeliest next token of every row (int32 [B]), and the cache with this one."""
    new_B = jnp.ones(token_B1.shape[0], jnp.int32)
    x_B1D, cache = model.extend(base, cache, token_B1, new_B, lora)
    return model.head(base)(x_B1D[:, 0]).argmax(-1).astype(jnp.int32), cache


def _placed(leaf: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _layers_apart(tree: dict[str, Any]) -> dict[str, Any]:
    """`trees.for_decoding` of a tree of placed shapes."""
    n_layers = jax.tree.leaves(tree["layers"])[0].shape[0]

    def one(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        place = NamedSharding(leaf.sharding.mesh, P(*leaf.sharding.spec[1:]))
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, sharding=place)

    layer = jax.tree.map(one, tree["layers"])
    rest = {name: child for name, child in tree.items() if name != "layers"}
    return rest | {f"layers_{i}": layer for i in range(n_layers)}
