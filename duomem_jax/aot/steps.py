"""The train step and the decode step of a config, compiled from shapes alone."""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.data.rows import PictureRoom, RowFormat, TargetFormat
from duomem_jax.mesh.sharding import BATCH, model_shardings, use_mesh
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model
from duomem_jax.models.shapes import weight_shapes
from duomem_jax.models.trees import layer_name
from duomem_jax.models.vision.load import load_vision_config
from duomem_jax.objectives import Batch
from duomem_jax.train.plan import Plan
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.sizes import state_shapes
from duomem_jax.train.state.state import state_shardings
from duomem_jax.train.state.step import Frozen, Learner, jit_step


class RowSizes(NamedTuple):
    """What the data would say of a batch."""

    length: int  # T
    replies: int  # A, reply tokens a row has at most
    candidates: int  # C, stored targets a reply token; 0: none
    tiles: int = 0  # P, of pictures that a row has room for; 0: it shows none

    def read_by(self, plan: Plan) -> "RowSizes":
        """What of the rows the step of a plan is sent."""
        # Only one kind of target reads candidates.
        return self if plan.targets.needs.stored else self._replace(candidates=0)

    def batch(self, plan: Plan) -> Batch:
        """A batch of such rows: `jax.ShapeDtypeStruct` in place of arrays.

        Raises:
            UserError: it shows pictures, and the model does not see.
        """
        batch, model = plan.config.global_batch, plan.model.config
        if not self.tiles:
            return self._format(model.vocab_size).shapes(batch)
        vision = load_vision_config(plan.folder)
        room = PictureRoom(self.tiles, vision.tile_tokens, vision.image_token)
        rows = replace(self._format(model.vocab_size), pictures=room).shapes(batch)
        assert rows.seen is not None
        shape = batch, self.tiles * vision.tile_tokens, model.d_model
        features_BnD = jax.ShapeDtypeStruct(shape, jnp.float16)
        return replace(rows, seen=replace(rows.seen, features_BnD=features_BnD))

    def _format(self, vocab: int) -> RowFormat:
        """The format of such rows, for a teacher with `vocab` tokens."""
        targets = None
        if self.candidates:
            targets = TargetFormat(self.replies, self.candidates, vocab, "topk")
        return RowFormat(self.length, targets=targets)


def compile_train(plan: Plan, rows: RowSizes) -> jax.stages.Compiled:
    """One step of `train.state.step.jit_step`, as `train.run` makes it."""
    return lower_train(plan, rows).compile()


def lower_train(plan: Plan, rows: RowSizes) -> jax.stages.Lowered:
    """The traced step, not compiled yet."""
    config, model, mesh = plan.config, plan.model, plan.mesh
    shardings = model_shardings(model, mesh)
    tx = make_optimizer(config.optimizer, config.steps)
    batch = rows.batch(plan)
    # Shapes with shardings stand for arrays throughout: no weight exists, nor need the devices.
    with use_mesh(mesh):
        state = state_shapes(config, model)
        state_sh = state_shardings(tx, state.params, shardings[plan.trained], mesh)
        frozen = _frozen_shapes(plan, shardings["params"])
        teacher = plan.teacher.model if plan.teacher else None
        learner = Learner(model, tx, plan.targets, teacher)
        step = jit_step(learner, state_sh, jax.tree.map(lambda x: x.sharding, frozen), mesh)
        return step.lower(state, frozen, batch)


def _frozen_shapes(plan: Plan, shardings: Any) -> Frozen:
    config, base, teacher = plan.config, None, None
    # Where all parameters are trained they are in the state, and nothing of the student is frozen.
    if plan.trained == "lora":
        base = weight_shapes(plan.model, config.dtype, config.quantize, shardings)
    if plan.teacher is not None and not plan.teacher.shares_base:
        where = model_shardings(plan.teacher.model, plan.mesh)["params"]
        teacher = weight_shapes(plan.teacher.model, config.dtype, shardings=where)
    return Frozen(base, teacher)


def compile_decode(plan: Plan, rows: RowSizes) -> jax.stages.Compiled:
    """One new token in each of `global_batch` rows whose caches hold up to `rows.length`."""
    config, model, mesh = plan.config, plan.model, plan.mesh
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
        # The cache is donated, so that the new token's keys and values are written in place.
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
    # `for_decoding` itself indexes arrays, which a ShapeDtypeStruct does not allow.
    n_layers = jax.tree.leaves(tree["layers"])[0].shape[0]

    def one(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        place = NamedSharding(leaf.sharding.mesh, P(*leaf.sharding.spec[1:]))
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, sharding=place)

    layer = jax.tree.map(one, tree["layers"])
    rest = {name: child for name, child in tree.items() if name != "layers"}
    return rest | {layer_name(i): layer for i in range(n_layers)}
