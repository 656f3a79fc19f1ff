"""Update rules on stacked trees, and the schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import muon

from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.optimizer import make_optimizer, make_schedule


def test_muon_orthogonalises_each_layer_alone():
    """The stacked rule against optax's own rule on one layer's 2-D matrix at a time."""
    rng = np.random.default_rng(0)
    stacked = jnp.array(rng.normal(size=(3, 8, 12)), jnp.float32)
    grads = (
        jnp.array(rng.normal(size=(3, 8, 12)), jnp.float32) * jnp.array([1, 10, 0.1])[:, None, None]
    )
    config = OptimizerConfig("muon", 1e-2, weight_decay=0.1, clip=1e9)
    tx = make_optimizer(config, 10)
    params = {"layers": {"q_proj": {"kernel": stacked}}, "embedding": jnp.ones((5, 8))}
    tree = {"layers": {"q_proj": {"kernel": grads}}, "embedding": jnp.ones((5, 8))}
    got, _ = tx.update(tree, tx.init(params), params)
    alone = muon(make_schedule(config, 10), weight_decay=0.1, consistent_rms=0.2)
    for layer in range(3):
        want, _ = alone.update(grads[layer], alone.init(stacked[layer]), stacked[layer])
        np.testing.assert_allclose(
            got["layers"]["q_proj"]["kernel"][layer], want, rtol=1e-4, atol=1e-6
        )


def test_muon_leaves_the_rest_to_adamw():
    params = {"embedding": jnp.ones((5, 8)), "norm": {"scale": jnp.ones(8)}}
    grads = jax.tree.map(lambda x: x * 0.3, params)
    tx = make_optimizer(OptimizerConfig("muon", 1e-2, clip=1e9), 10)
    got, _ = tx.update(grads, tx.init(params), params)
    rule = optax.adamw(1e-2, b2=OptimizerConfig().b2, weight_decay=0.0, nesterov=True)
    want, _ = rule.update(grads, rule.init(params), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


def test_weight_decay_spares_norms_and_embeddings():
    params = {
        "embedding": jnp.ones((5, 8)),
        "layers": {"q_proj": {"kernel": jnp.ones((2, 4, 4))}, "ln": {"scale": jnp.ones((2, 4))}},
    }
    tx = make_optimizer(OptimizerConfig(learning_rate=1e-2, weight_decay=0.5), 10)
    got, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    assert not got["embedding"].any()
    assert not got["layers"]["ln"]["scale"].any()
    np.testing.assert_allclose(got["layers"]["q_proj"]["kernel"], -0.5e-2, rtol=1e-5)


def test_gradients_are_clipped_by_global_norm():
    params = {"a": jnp.zeros(3), "b": jnp.zeros(4)}
    clip = optax.clip_by_global_norm(1.0)
    config = OptimizerConfig(learning_rate=1.0, clip=1.0)
    huge = {"a": jnp.full(3, 1e6), "b": jnp.full(4, 2e6)}
    clipped, _ = clip.update(huge, clip.init(params))
    tx, plain = make_optimizer(config, 10), optax.adamw(make_schedule(config, 10), b2=config.b2)
    got, _ = tx.update(huge, tx.init(params), params)
    want, _ = plain.update(clipped, plain.init(params), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_schedule_warms_up_and_ends_at_zero(shape):
    rate = make_schedule(OptimizerConfig("adamw", 1.0, shape, warmup_steps=4), 20)
    warm = [float(rate(i)) for i in range(5)]
    assert warm[0] > 0
    assert warm == sorted(warm)
    assert warm[4] == pytest.approx(1.0)
    rest = [float(rate(i)) for i in range(4, 21)]
    assert rest == sorted(rest, reverse=True)
    assert rest[8] == pytest.approx(0.5)
    assert rest[-1] == pytest.approx(0.0, abs=1e-6)
