"""Every objective, on live and on stored teachers, against numpy on full logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.test_util import check_grads

from duomem_jax.aot.hlo import parse
from duomem_jax.aot.work import work_of
from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import BATCH, make_mesh, use_mesh
from duomem_jax.objectives import (
    Batch,
    LiveTargets,
    States,
    Stored,
    StoredTargets,
    TextTargets,
    Tokens,
    fused,
)
from duomem_jax.objectives.candidates import log_probs_of, with_rest
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.divergences import DIVERGENCES
from duomem_jax.objectives.replies import next_tokens, replies_first

DIVERGENT = [
    ObjectiveConfig("forward_kl"),
    ObjectiveConfig("forward_kl", temperature=2.0, ce_weight=0.3),
    ObjectiveConfig("reverse_kl", temperature=0.7),
    ObjectiveConfig("jsd", beta=0.1),
    ObjectiveConfig("jsd", beta=0.0),
    ObjectiveConfig("jsd", beta=1.0, ce_weight=0.5),
    ObjectiveConfig("skew_forward_kl"),
    ObjectiveConfig("skew_reverse_kl", skew=0.2),
]
# No gradient is checked: the loss jumps where a token passes the gate.
GATED = ObjectiveConfig("forward_kl", ce_weight=0.4, gate=3.0)
NAMED = functools.partial(pytest.mark.parametrize, "config", ids=str)


def log_softmax(x):
    x = np.asarray(x, np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def kl(log_p, log_q):
    return (np.exp(log_p) * (log_p - log_q)).sum(-1)


def divergence(c, log_s, log_t):
    """The papers' formulas, in float64."""
    mixture = lambda share: np.log(share * np.exp(log_t) + (1 - share) * np.exp(log_s))  # noqa: E731
    if c.name == "forward_kl" or (c.name, c.beta) == ("jsd", 0):
        return kl(log_t, log_s)
    if c.name == "reverse_kl" or (c.name, c.beta) == ("jsd", 1):
        return kl(log_s, log_t)
    if c.name == "jsd":
        m = mixture(c.beta)
        return c.beta * kl(log_t, m) + (1 - c.beta) * kl(log_s, m)
    if c.name == "skew_forward_kl":
        return kl(log_t, mixture(c.skew))
    return kl(log_s, mixture(1 - c.skew))


def expected(c, student, rows, log_t=None, coarse=lambda log_p, place: log_p):
    """Sum over reply tokens; `log_t` and `coarse` are by (row, position)."""
    x, head = student
    total = 0.0
    for b, t in replies(rows):
        logits = x[b, t].astype(np.float64) @ head
        ce = -log_softmax(logits)[rows.ids_BT[b, t + 1]]
        if c.name == "text":
            total += ce
            continue
        log_s = coarse(log_softmax(logits / c.temperature), (b, t))
        d = divergence(c, log_s, log_t[b, t])
        share = c.ce_weight if d > c.gate else 0.0
        total += (1 - share) * c.temperature**2 * d + share * ce
    return total


def replies(rows):
    """(row, position before it) of each token with loss."""
    return [(b, t - 1) for b, t in zip(*np.nonzero(rows.reply_BT), strict=True)]


def linear(kernel):
    return lambda x: x @ kernel


def targets_of(config, batch):
    if config.name == "text":
        return TextTargets()
    return StoredTargets(config) if batch.stored else LiveTargets(config)


def loss_of(config, x, head, batch, teacher=None):
    return targets_of(config, batch).loss(States(x, head), batch, teacher)


def value_and_grads(c, student, batch, teacher=None):
    def loss(x, head):
        return tuple(loss_of(c, x, linear(head), batch, teacher))

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(*student)


def stored(log_t, rows, k):
    """(targets of a row, coarse view of a distribution): written token, likeliest others, rest."""
    most = rows.reply_BT.sum(1).max()
    shape = (len(rows.ids_BT), most)
    ids, log_p = np.zeros((*shape, k), np.int32), np.zeros((*shape, k), np.float32)
    rest, mask = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    place, seen = {}, dict.fromkeys(range(shape[0]), 0)
    for b, t in replies(rows):
        i = seen[b]
        seen[b] += 1
        written = rows.ids_BT[b, t + 1]
        order = [v for v in np.argsort(-log_t[b, t]) if v != written]
        ids[b, i] = [written, *order[: k - 1]]
        log_p[b, i] = log_t[b, t][ids[b, i]]
        rest[b, i] = np.log1p(-np.exp(log_p[b, i].astype(np.float64)).sum())
        mask[b, i] = 1
        place[b, t] = ids[b, i]

    def coarse(log_p, where):
        few = log_p[place[where]]
        return np.append(few, np.log1p(-np.exp(few).sum()))

    return Stored(ids, log_p, mask > 0, rest), coarse


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(fused, "MIN_CHUNK", 7)
    monkeypatch.setattr(fused, "MAX_CHUNK", 7)


@NAMED([ObjectiveConfig(), *DIVERGENT, GATED])
def test_equals_numpy_on_full_logits(config, student, teacher, rows, small_chunks):
    live = None
    if config.name != "text":
        live = States(teacher[0], linear(teacher[1]))
    (loss, weight), _ = value_and_grads(config, student, Batch(rows), live)
    log_t = log_softmax(teacher[0] @ teacher[1] / config.temperature)
    assert weight == rows.reply_BT.sum()
    np.testing.assert_allclose(loss, expected(config, student, rows, log_t), rtol=1e-5)


@NAMED([*DIVERGENT, GATED])
def test_stored_candidates_equal_numpy_on_the_coarser_distribution(
    config, student, teacher, rows, small_chunks
):
    log_t = log_softmax(teacher[0] @ teacher[1] / config.temperature)
    targets, coarse = stored(log_t, rows, 5)
    (loss, weight), _ = value_and_grads(config, student, Batch(rows, stored=targets))
    coarse_t = {(b, t): coarse(log_t[b, t], (b, t)) for b, t in replies(rows)}
    want = expected(config, student, rows, coarse_t, coarse)
    assert weight == rows.reply_BT.sum()
    np.testing.assert_allclose(loss, want, rtol=1e-5)


@NAMED([ObjectiveConfig(), *DIVERGENT])
def test_gradients_are_those_of_the_loss(config, student, teacher, rows):
    log_t = log_softmax(teacher[0] @ teacher[1] / config.temperature)
    live = None if config.name == "text" else States(teacher[0], linear(teacher[1]))

    def loss(x, head, batch, teacher):
        return loss_of(config, x, linear(head), batch, teacher)[0]

    check = functools.partial(check_grads, order=1, modes=["rev"], atol=2e-2, rtol=2e-2, eps=1e-2)
    check(jax.jit(lambda x, head: loss(x, head, Batch(rows), live)), student)
    if live:
        targets, _ = stored(log_t, rows, 5)
        check(jax.jit(lambda x, head: loss(x, head, Batch(rows, stored=targets), None)), student)


def test_a_gate_lets_text_count_where_student_and_teacher_differ(student, teacher, rows):
    live = States(teacher[0], linear(teacher[1]))

    def loss(**how):
        config = ObjectiveConfig("forward_kl", **how)
        return float(value_and_grads(config, student, Batch(rows), live)[0][0])

    # As many nats as half of the tokens have: neither all of the text counts nor none.
    log_t, log_s = (log_softmax(x @ head) for x, head in (teacher, student))
    gate = float(np.median([kl(log_t[place], log_s[place]) for place in replies(rows)]))
    some = loss(ce_weight=0.4, gate=gate)
    assert some != pytest.approx(loss(ce_weight=0.4), rel=1e-3)
    assert some != pytest.approx(loss(), rel=1e-3)
    assert loss(ce_weight=0.4, gate=1e4) == pytest.approx(loss())
    for wrong in ({"name": "text", "ce_weight": 0.4}, {"name": "forward_kl"}, {"name": "uld"}):
        with pytest.raises(UserError, match="no cross-entropy beside a divergence"):
            ObjectiveConfig(**wrong, gate=1.0)


@pytest.mark.parametrize("name", sorted(DIVERGENCES))
def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient(name, student, rows):
    (loss, _), grads = value_and_grads(
        ObjectiveConfig(name), student, Batch(rows), States(student[0], linear(student[1]))
    )
    np.testing.assert_allclose(loss, 0, atol=1e-4)
    for g in grads:
        np.testing.assert_allclose(g, 0, atol=1e-4)


def test_both_ends_of_beta_are_the_two_divergences(student, teacher, rows):
    near = student[0] / 5, student[1]
    live = States(teacher[0] / 5, linear(teacher[1]))

    def loss(name, beta=0.5):
        config = ObjectiveConfig(name, beta=beta)
        return float(value_and_grads(config, near, Batch(rows), live)[0][0])

    tiny = 1e-3
    assert loss("jsd", tiny) / tiny == pytest.approx(loss("forward_kl"), rel=0.02)
    assert loss("jsd", 1 - tiny) / tiny == pytest.approx(loss("reverse_kl"), rel=0.02)
    assert loss("jsd", 0.0) == loss("forward_kl")
    assert loss("jsd", 1.0) == loss("reverse_kl")


def test_sampled_targets_give_an_unbiased_gradient(student, teacher, rows):
    """The mean gradient of many draws is that of the whole distribution."""
    rng = np.random.default_rng(0)
    p = np.exp(log_softmax(teacher[0] @ teacher[1]))
    targets, _ = stored(np.log(p), rows, 5)
    places = replies(rows)
    k = 4000
    ids = np.zeros((*targets.ids_BAC.shape[:2], k), np.int32)
    seen = dict.fromkeys(range(len(ids)), 0)
    for b, t in places:
        ids[b, seen[b]] = rng.choice(p.shape[-1], k, p=p[b, t])
        seen[b] += 1
    weights = np.full(ids.shape, -np.log(k), np.float32)
    batch = Batch(rows, stored=Stored(ids, weights, targets.mask_BA))
    config = ObjectiveConfig("forward_kl")
    (loss, _), (dx, _) = value_and_grads(config, student, batch)
    live = States(teacher[0], linear(teacher[1]))
    (whole, _), (want, _) = value_and_grads(config, student, Batch(rows), live)
    entropy = sum(-(p[b, t] * np.log(p[b, t])).sum() for b, t in places)
    np.testing.assert_allclose(loss - entropy, whole, rtol=0.05)
    assert np.linalg.norm(dx - want) < 0.05 * np.linalg.norm(want)


def test_a_token_without_stored_targets_is_omitted(student, teacher, rows):
    """It is neither distilled nor learnt as text."""
    config = ObjectiveConfig("forward_kl", ce_weight=0.5)
    targets, _ = stored(log_softmax(teacher[0] @ teacher[1]), rows, 5)
    targets.mask_BA[0, 2:] = False
    (_, weight), (dx, _) = value_and_grads(config, student, Batch(rows, stored=targets))
    kept = [(b, t) for i, (b, t) in enumerate(replies(rows)) if b or i < 2]
    assert weight == len(kept)
    moved = set(zip(*np.nonzero(np.abs(dx).sum(-1)), strict=True))
    assert moved == set(kept)


def test_a_teacher_reads_its_own_view(student, teacher, rows):
    """Its row is longer and its replies lie elsewhere; the i-th is still the i-th."""
    shift = 13
    wide = jax.tree.map(lambda y: np.pad(y, [(0, 0), (shift, 4)], mode="edge"), rows)
    wide.reply_BT[:, :shift] = wide.reply_BT[:, -4:] = False
    x_teacher = np.pad(teacher[0], [(0, 0), (shift, 4), (0, 0)])
    config = ObjectiveConfig("reverse_kl")
    plain = value_and_grads(config, student, Batch(rows), States(teacher[0], linear(teacher[1])))
    own = value_and_grads(config, student, Batch(rows, wide), States(x_teacher, linear(teacher[1])))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), own, plain)


def test_heads_of_one_tokenizer_may_be_padded_differently(student, teacher, rows):
    x, head = teacher
    padded = np.pad(head, [(0, 0), (0, 5)], constant_values=3.0)
    config = ObjectiveConfig("forward_kl")
    plain = value_and_grads(config, student, Batch(rows), States(x, linear(head)))
    wide = value_and_grads(config, student, Batch(rows), States(x, linear(padded)))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), wide, plain)


def test_log_probs_of_repeated_candidates():
    logits = np.random.default_rng(0).normal(size=(2, 3, 11)).astype(np.float32)
    ids = np.array([[[1, 1, 4]] * 3, [[0, 10, 0]] * 3])
    want = np.take_along_axis(log_softmax(logits), ids, -1)
    np.testing.assert_allclose(log_probs_of(logits, ids), want, rtol=1e-5)
    check_grads(lambda y: log_probs_of(y, ids), (logits,), order=1, modes=["rev"], eps=1e-2)


def test_log_probability_of_the_rest_is_finite_when_candidates_sum_to_one():
    log_p = jnp.log(jnp.array([0.75, 0.25]))
    value, slope = jax.value_and_grad(lambda y: with_rest(y)[-1])(log_p)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_chunk_length_for_large_vocabularies_and_batches():
    assert fused.chunk_length(1, 512, 151_936) == 171
    assert fused.chunk_length(64, 2048, 151_936) == fused.MIN_CHUNK
    assert fused.chunk_length(16, 1024, 800) == fused.MAX_CHUNK
    assert fused.chunk_length(1, 260, 800) == 130
    assert fused.chunk_length(2, 8, 800) == 8


def test_chunk_length_counts_the_rows_of_one_device():
    rows = jax.ShapeDtypeStruct((8, 2048), jnp.float32)
    cut = functools.partial(jax.eval_shape, functools.partial(fused.in_chunks, vocab=151_936))
    assert cut(rows).shape == (2048 // 27 + 1, 8, 27)  # 8 rows x 27 tokens are 2**25 logits
    with use_mesh(make_mesh(MeshConfig(data=4, fsdp=2), 8)):
        assert cut(rows).shape == (10, 8, 205)


def test_log_probs_of_candidates_on_split_rows_need_no_collectives():
    mesh = make_mesh(MeshConfig(data=4, fsdp=2), 8)
    logits, ids = (
        jax.ShapeDtypeStruct((64, n), kind, sharding=NamedSharding(mesh, BATCH))
        for n, kind in ((96, jnp.float32), (4, jnp.int32))
    )
    slope = jax.grad(lambda y, ids: jnp.sum(log_probs_of(y, ids) ** 2))
    text = jax.jit(slope).lower(logits, ids).compile().as_text()
    assert work_of(parse(text), 8).traffic == {}


def test_bfloat16_sums_in_float32():
    x = jnp.ones((1, 4096, 8), jnp.bfloat16)
    ones = np.ones((1, 4096), np.int32)
    batch = Batch(Tokens(ones, ones, ones, ones > 0))

    def head(x):
        return (x @ jnp.zeros((8, 16), x.dtype)).astype(jnp.float32)

    loss, weight = loss_of(ObjectiveConfig(), x, head, batch)
    assert loss.dtype == jnp.float32
    assert weight == 4095
    np.testing.assert_allclose(loss, 4095 * np.log(16), rtol=1e-6)


def test_replies_first_keeps_their_order():
    mask = jnp.array([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    live, (moved,) = replies_first(mask, (jnp.arange(10).reshape(2, 5),), 4)
    np.testing.assert_array_equal(live, [[True, True, True, False], [False] * 4])
    np.testing.assert_array_equal(moved[0, :3], [1, 3, 4])


def test_targets_stay_inside_their_segment():
    ids = jnp.array([[5, 6, 7, 8, 9, 0]])
    segments = jnp.array([[1, 1, 1, 2, 2, 0]])
    reply = jnp.array([[1, 1, 1, 1, 1, 0]]) > 0
    targets, mask = next_tokens(Tokens(ids, segments, ids, reply))
    np.testing.assert_array_equal(targets[0, :5], [6, 7, 8, 9, 0])
    # token 8 starts a segment, so nothing predicts it; nothing follows 9
    np.testing.assert_array_equal(mask[0], [True, True, False, True, False, False])
