"""Scores against greedy decoding, a plain numpy softmax, and a model that was made to memorize."""

import functools

import jax
import numpy as np
import optax
import pytest

from duomem_jax.agents.policy import EachAlone
from duomem_jax.agents.rollout import play_games
from duomem_jax.decode.generator import Generator
from duomem_jax.evals.audit import memorization
from duomem_jax.evals.audit.memorization import score_windows, suffix_tokens
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN, cut_windows, sort_out
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import NAMES, model_folder
from duomem_jax.objectives import Batch, Tokens
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.train.state.state import new_state
from duomem_jax.train.state.step import Frozen, Learner, train_step
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.world import Household

P, S, BATCH = 50, 50, 8


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(model_folder("tiny-student"))


@pytest.fixture(scope="module")
def sets(tokenizer):
    """Windows of the expert's episodes of eight generated games."""
    prior = LocationPrior.default()
    expert = EachAlone("expert", lambda game, seed: Expert(prior))
    played = [p.episode for p in play_games(Household(), generate_games(8, 11), expert, slots=8)]
    cut = functools.partial(cut_windows, tokenizer=tokenizer, prefix=P, suffix=S)
    return sort_out(*(list(cut(side)) for side in (played[:4], played[4:])))


def decode(model, base, lora, starts, n):
    """Greedy continuations of n tokens; no token ends them."""
    V = model.config.vocab_size
    generator = Generator(
        model, base, lora, slots=len(starts), max_len=160, eos_id=V, max_new=n + 1
    )
    replies = generator.extend(dict(enumerate(starts)))
    return [np.array(replies[i][:n]) for i in range(len(starts))]


def common(a, b):
    """Length of the common beginning of two sequences."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))


@pytest.mark.parametrize("name", NAMES)
def test_score_matched_is_how_far_greedy_decoding_agrees(sets, name):
    config, base = load_pretrained(model_folder(name))
    model, windows = Model(config), sets[TRAIN][:BATCH]
    scores = score_windows(model, base, None, windows, BATCH)
    decoded = decode(model, base, None, [w.tokens[:P].tolist() for w in windows], S)
    assert [s.matched for s in scores] == [
        common(d, w.suffix) for d, w in zip(decoded, windows, strict=True)
    ]
    # What it decodes by itself is extractable, by definition; a changed token breaks it there.
    own = [
        memorization.Window(w.game_id, 0, 0, np.append(w.tokens[:P], d), w.written, 0)
        for w, d in zip(windows, decoded, strict=True)
    ]
    assert all(s.extractable for s in score_windows(model, base, None, own, BATCH))
    for i, w in enumerate(own):
        w.tokens[P + 6 * i] = (w.tokens[P + 6 * i] + 1) % config.vocab_size
    assert [s.matched for s in score_windows(model, base, None, own, BATCH)] == [
        6 * i for i in range(BATCH)
    ]


def test_score_replayed_is_what_a_player_writes_in_the_game(sets):
    config, base = load_pretrained(model_folder("tiny-teacher"))
    model, windows = Model(config), sets[TRAIN][:BATCH]
    runs = [  # of written tokens: window, first, end
        (i, *run)
        for i, w in enumerate(windows)
        for run in np.flatnonzero(np.diff(np.pad(w.written, 1).astype(int))).reshape(-1, 2)
    ]
    starts = [windows[i].tokens[: P + first].tolist() for i, first, _ in runs]
    wrong = {
        i
        for (i, first, end), reply in zip(runs, decode(model, base, None, starts, S), strict=True)
        if (reply[: end - first] != windows[i].suffix[first:end]).any()
    }
    written = {i for i, *_ in runs}
    scores = score_windows(model, base, None, windows, BATCH)
    assert {i for i, s in enumerate(scores) if s.replayed} == written - wrong
    assert wrong
    assert written - wrong


def test_score_windows_equals_a_plain_softmax(sets, monkeypatch):
    config, base = load_pretrained(model_folder("tiny-student"))
    model, windows = Model(config), sets[HELD_OUT][:3]
    model, rng = Model(config, LoraConfig(rank=2)), np.random.default_rng(0)
    lora = jax.tree.map(lambda x: 0.1 * rng.normal(size=x.shape), model.shapes()["lora"])
    tokens_BT = np.stack([w.tokens for w in windows])
    positions_BT = np.tile(np.arange(P + S), (len(windows), 1))
    whole = jax.jit(model.hidden)(base, tokens_BT, positions_BT, positions_BT * 0, lora)
    logits = np.asarray(whole, np.float64)[:, P - 1 : -1] @ np.asarray(base["embedding"]).T
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    true_BS = tokens_BT[:, P:]
    nats_BS = -np.take_along_axis(log_p, true_BS[..., None], -1)[..., 0]
    hits_BS = logits.argmax(-1) == true_BS
    # Chunks that do not divide the tokens, and rows filled up to the batch, change nothing.
    monkeypatch.setattr(memorization, "LOGITS", 7 * config.vocab_size)
    suffix_tokens.clear_cache()
    for w, s, hits, nats in zip(
        windows, score_windows(model, base, lora, windows, 5), hits_BS, nats_BS, strict=True
    ):
        assert (s.game_id, s.seed, s.start) == (w.game_id, w.seed, w.start)
        assert (s.suffix, s.written, s.zlib_bytes) == (S, w.written.sum(), w.zlib_bytes)
        assert s.written_hits == hits[w.written].sum()
        assert s.matched == common(hits, np.ones(S, bool))
        assert s.nats == pytest.approx(nats.sum(), abs=2e-3)
        assert s.written_nats == pytest.approx(nats[w.written].sum(), abs=2e-3)
    suffix_tokens.clear_cache()


def test_score_windows_finds_what_a_model_was_made_to_memorize(sets, tokenizer):
    config = ModelConfig("qwen3", len(tokenizer), 32, 1, 2, 1, 16, 64, max_len=128)
    model = Model(config)
    learnt, rest = sets[TRAIN][:4], sets[TRAIN][4:]
    tokens_BT = np.stack([w.tokens for w in learnt])
    T = tokens_BT.shape[1]
    ones_BT = np.ones_like(tokens_BT)
    positions_BT = ones_BT * np.arange(T, dtype=np.int32)
    batch = Batch(Tokens(tokens_BT, ones_BT, positions_BT, ones_BT > 0))
    tx = optax.adam(1e-2)
    state = new_state(tx, jax.jit(model.init)(jax.random.key(0)))
    before = score_windows(model, state.params, None, learnt, BATCH)
    assert not any(s.extractable or s.matched > 2 for s in before)
    step = jax.jit(functools.partial(train_step, Learner(model, tx)))
    for _ in range(150):
        state, _ = step(state, Frozen(), batch)
    known = score_windows(model, state.params, None, learnt, BATCH)
    assert all(s.extractable and s.replayed and s.nats < 0.1 * S for s in known)
    decoded = decode(model, state.params, None, tokens_BT[:, :P].tolist(), S)
    np.testing.assert_array_equal(decoded, tokens_BT[:, P:])
    for windows in (rest[:BATCH], sets[HELD_OUT][:BATCH]):
        unknown = score_windows(model, state.params, None, windows, BATCH)
        assert len(unknown) > 3
        assert not any(s.extractable or s.matched == S for s in unknown)
        assert min(s.nats for s in unknown) > 1.0 * S
