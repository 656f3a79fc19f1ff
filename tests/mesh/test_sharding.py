"""Eight fake devices: the same numbers, constraints really emitted, trees really split."""

import contextlib
import dataclasses
import itertools
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import (
    RULES,
    Places,
    make_mesh,
    model_shardings,
    places,
    put_batch,
    use_mesh,
)
from duomem_jax.models.axes import axis_rules
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.objectives import Batch, Tokens
from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import init_state, state_shardings
from duomem_jax.train.state.step import Frozen, Learner, jit_step

MODEL = Model(ModelConfig("qwen3", 64, 32, 2, 4, 2, 8, 48), LoraConfig(rank=2, alpha=4.0))
EIGHT = MeshConfig(data=2, fsdp=2, tensor=2)


def make_batch():
    rng = np.random.default_rng(0)
    segments = np.repeat([[1] * 20 + [2] * 12], 8, axis=0)
    return Batch(
        Tokens(
            ids_BT=rng.integers(0, 64, (8, 32)).astype(np.int32),
            segments_BT=segments.astype(np.int32),
            positions_BT=np.repeat([[*range(20), *range(12)]], 8, axis=0).astype(np.int32),
            reply_BT=rng.random((8, 32)) < 0.5,
        )
    )


def prepare(mesh_config, optimizer="adamw", model=MODEL, devices=None):
    """(mesh, step function, state, frozen, batch); the caller enters the mesh."""
    mesh = make_mesh(mesh_config, 8)
    if devices is not None:
        # `make_mesh` lays devices out itself, as the network between them asks for.
        mesh = Mesh(
            devices.reshape(mesh.devices.shape), mesh.axis_names, axis_types=mesh.axis_types
        )
    shardings = model_shardings(model, mesh)
    tx = make_optimizer(OptimizerConfig(optimizer, 1e-2), 10)
    with use_mesh(mesh):
        key = jax.random.key(0)
        base = jax.device_put(jax.jit(model.init)(key), shardings["params"])
        lora = jax.device_put(jax.jit(model.init_lora)(key), shardings["lora"])
        state_sh = state_shardings(tx, lora, shardings["lora"], mesh)
        state = init_state(tx, lora, state_sh, 0)
        step = jit_step(Learner(model, tx), state_sh, Frozen(shardings["params"]), mesh)
        return mesh, step, state, Frozen(base), put_batch(make_batch(), mesh)


@pytest.fixture(scope="module")
def eight():
    return prepare(EIGHT)


def run(mesh, step, state, frozen, batch, n=3):
    losses = []
    state = jax.tree.map(jnp.copy, state)  # the step donates its state
    with use_mesh(mesh):
        for _ in range(n):
            state, metrics = step(state, frozen, batch)
            losses.append(float(metrics["loss"][0]) / float(metrics["loss"][1]))
    return state, losses


def test_train_step_agrees_on_one_and_eight_devices(eight):
    one_state, one = run(*prepare(MeshConfig(data=1)))
    eight_state, many = run(*eight)
    np.testing.assert_allclose(one, many, rtol=1e-5)
    assert one[0] > one[-1]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4),
        one_state.params,
        eight_state.params,
    )


@pytest.mark.parametrize("zero", [pytest.param("a", marks=pytest.mark.slow), "b"])
def test_any_order_of_devices_trains_alike(zero):
    model = MODEL.with_lora(dataclasses.replace(MODEL.lora, zero=zero))
    start = model.init_lora(jax.random.key(0))
    devices = np.array(jax.devices())
    orders = devices, devices[::-1], np.random.default_rng(0).permutation(devices)
    ended = [run(*prepare(EIGHT, model=model, devices=order), n=10) for order in orders]
    (first, losses), *others = ended
    assert losses[-1] < losses[0] - 0.1
    # Every factor has left where it started, and on every layout it has gone the same way.
    moved = jax.tree.map(lambda x, x0: np.abs(x - x0).max(), first.params, start)
    assert min(jax.tree.leaves(moved)) > 1e-3
    for state, told in others:
        np.testing.assert_allclose(told, losses, rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), state.params, first.params
        )


@pytest.mark.parametrize("zero", ["a", "b"])
def test_a_fresh_adapter_changes_nothing_whichever_factor_starts_at_zero(zero):
    model = MODEL.with_lora(dataclasses.replace(MODEL.lora, zero=zero))
    base, lora = model.init(jax.random.key(0)), model.init_lora(jax.random.key(1))
    q = lora["layers"]["self_attn"]["q_proj"]
    assert {name for name, x in q.items() if not np.any(x)} == {zero}
    # As wide as PEFT's, by what goes in: the model's width, or the rank.
    other = q["b" if zero == "a" else "a"]
    assert 0.8 < np.abs(other).max() * np.sqrt(other.shape[1]) <= 1
    tokens = make_batch().student
    inputs = tokens.ids_BT, tokens.positions_BT, tokens.segments_BT
    np.testing.assert_array_equal(model.hidden(base, *inputs, lora), model.hidden(base, *inputs))


ROWS, BY_TENSOR = '{"data", "fsdp"}', '{"tensor"}'
# What GSPMD must not be left to guess: (shape, where each axis lies).
CONSTRAINED = {
    "embeddings and residual sums": ("8x32x32", f"{ROWS}, {{}}, {{}}"),
    "gated activations": ("8x32x48", f"{ROWS}, {{}}, {BY_TENSOR}"),
    "table where it is read": ("64x32", "{}, {}"),
    "head": ("64x32", f"{BY_TENSOR}, {{}}"),
}


def constraints(prepared, context):
    """(shape, axes) of every constraint in the step's text, lowered within `context`."""
    _, step, state, frozen, batch = prepared
    with context:
        step.clear_cache()  # the trace of another context knows nothing of this one
        text = step.lower(state, frozen, batch).as_text()
    found = re.findall(r"sharding_constraint .*?\[(.*)\]> : tensor<([\dx]+)xf32>", text)
    return [(shape, axes) for axes, shape in found]


def test_use_mesh_constrains_every_activation_forward_and_backward(eight):
    found = constraints(eight, use_mesh(eight[0]))
    assert set(found) == set(CONSTRAINED.values())
    for name in ("embeddings and residual sums", "gated activations"):
        assert found.count(CONSTRAINED[name]) > 1, name  # the gradient has the sharding too


@pytest.mark.filterwarnings("ignore:`with mesh")
def test_with_mesh_alone_would_lose_every_constraint(eight):
    both = contextlib.ExitStack()
    both.enter_context(eight[0])
    both.enter_context(axis_rules(RULES))
    assert constraints(eight, both) == []


def test_parameters_and_moments_are_split(eight):
    _, _, state, frozen, batch = eight
    layers = frozen.base["layers"]
    assert layers["self_attn"]["q_proj"]["kernel"].sharding.spec == P(None, "fsdp", "tensor")
    assert layers["mlp"]["down_proj"]["kernel"].sharding.spec == P(None, "tensor", "fsdp")
    q = state.params["layers"]["self_attn"]["q_proj"]
    assert q["a"].sharding.spec == P(None, "fsdp", None)
    assert q["b"].sharding.spec == P(None, None, "tensor")
    adam = state.opt_state[1][0]
    assert adam.mu["layers"]["self_attn"]["q_proj"]["a"].sharding == q["a"].sharding
    assert batch.student.ids_BT.sharding.shard_shape((8, 32)) == (2, 32)


def test_one_host_holds_all_places_and_put_batch_keeps_the_order(eight):
    mesh, *_, batch = eight
    assert places(mesh) == Places((0, 1, 2, 3), 4)  # data * fsdp; `tensor` shares its rows
    jax.tree.map(np.testing.assert_array_equal, batch, make_batch())


def test_moments_of_muon_are_split_where_parameters_are():
    shapes = MODEL.shapes()["params"]
    mesh = make_mesh(EIGHT, 8)
    shardings = model_shardings(MODEL, mesh)["params"]
    tx = make_optimizer(OptimizerConfig("muon", 1e-2), 10)
    state = state_shardings(tx, shapes, shardings, mesh)
    specs = {
        jax.tree_util.keystr(path): s.spec
        for path, s in jax.tree_util.tree_leaves_with_path(state.opt_state)
    }
    split = [k for k, spec in specs.items() if "q_proj" in k and spec == P(None, "fsdp", "tensor")]
    assert len(split) == 1  # muon has one moment
    assert sum("embedding" in k and spec == P(None, "fsdp") for k, spec in specs.items()) == 2


@pytest.mark.parametrize(
    ("mesh", "batch", "word"),
    [
        (MeshConfig(data=16), 16, "does not fit 8 devices"),
        (MeshConfig(data=-1, fsdp=16), 16, "does not fit 8 devices"),
        (MeshConfig(data=0), 8, "does not fit"),
        (MeshConfig(), 12, "global_batch 12 is not a multiple"),
    ],
)
def test_make_mesh_refuses_impossible_sizes(mesh, batch, word):
    with pytest.raises(UserError, match=word):
        make_mesh(mesh, batch)


class FakeChip(SimpleNamespace):
    """What a mesh is laid out by."""

    __hash__ = object.__hash__


def tpu_chips(rows, columns, slices=1):
    """Chips of v5e slices."""
    places = itertools.product(range(slices), range(rows), range(columns))
    return [
        FakeChip(
            id=i,
            platform="tpu",
            device_kind="TPU v5 lite",
            coords=(x, y, 0),
            core_on_chip=0,
            process_index=i // 4,
            slice_index=number,
        )
        for i, (number, y, x) in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("gib", "config", "sizes"),
    [
        (8, MeshConfig(), (16, 1, 1)),  # half of a chip's 16 GiB
        (9, MeshConfig(), (8, 2, 1)),
        (60, MeshConfig(), (2, 8, 1)),
        (60, MeshConfig(tensor=4), (2, 2, 4)),
        (60, MeshConfig(data=8), (8, 2, 1)),
        (9999, MeshConfig(), (1, 16, 1)),
        (60, MeshConfig(fsdp=4), (4, 4, 1)),
    ],
)
def test_make_mesh_chooses_fsdp_by_size_and_memory(gib, config, sizes):
    mesh = make_mesh(config, 16, gib * 2**30, tpu_chips(4, 4))
    assert tuple(mesh.shape.values()) == sizes


def test_make_mesh_joins_slices_along_data():
    mesh = make_mesh(MeshConfig(), 32, 60 * 2**30, tpu_chips(4, 4, slices=2))
    assert tuple(mesh.shape.values()) == (4, 8, 1)
    slices = np.vectorize(lambda d: d.slice_index)(mesh.devices)
    assert (slices == [[[0]], [[0]], [[1]], [[1]]]).all()
    with pytest.raises(UserError, match="share 32 devices out to 2 slices"):
        make_mesh(MeshConfig(data=1, fsdp=32), 32, 0, tpu_chips(4, 4, slices=2))


def test_model_shardings_refuses_a_model_that_cannot_be_split():
    odd = Model(ModelConfig("qwen3", 64, 30, 2, 3, 3, 6, 45))
    with pytest.raises(UserError, match=r"cannot be split .* change mesh"):
        model_shardings(odd, make_mesh(MeshConfig(data=1, fsdp=4, tensor=2), 8))
