"""Tokens guessed ahead: who guesses, and how well, changes no reply."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from duomem_jax.decode.draft import Guesses, Seen
from duomem_jax.decode.generator import Generator
from duomem_jax.decode.lookup import LookUp
from duomem_jax.decode.pages import MIN_KEYS, PAGE
from duomem_jax.decode.small import SmallModel
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

EOS, V, MAX_LEN, MAX_NEW = 3, 11, 400, 12
SIZES = {"slots": 5, "max_len": MAX_LEN, "eos_id": EOS, "max_new": MAX_NEW, "chunk": 8, "group": 2}


def random_weights(model, kind, scale, seed):
    """Large enough that replies vary, and some of them end early."""
    rng = np.random.default_rng(seed)

    def leaf(path, x):
        if "scale" in str(path):
            return jnp.ones(x.shape)
        return jnp.asarray(scale * rng.normal(size=x.shape) / x.shape[-1] ** 0.5, jnp.float32)

    return jax.tree_util.tree_map_with_path(leaf, model.shapes()[kind])


@pytest.fixture(scope="module")
def model():
    # Every second layer sees a window, so that keys taken back lie within and without of it.
    config = ModelConfig(
        "qwen3", V, 24, 2, 4, 2, 8, 40, max_len=MAX_LEN, sliding=(True, False), window=6
    )
    return Model(config, LoraConfig(rank=2, alpha=4.0))


@pytest.fixture(scope="module")
def weights(model):
    return random_weights(model, "params", 2.5, 4), random_weights(model, "lora", 0.8, 1)


@pytest.fixture(scope="module")
def other():
    """(a model of another shape, its weights)."""
    model = Model(ModelConfig("llama", V, 16, 1, 2, 1, 8, 24, max_len=MAX_LEN, qk_norm=False))
    return model, random_weights(model, "params", 1.5, 2)


@pytest.fixture(scope="module")
def drafts(model, weights, other):
    return {
        "look-up": LookUp(3),
        "base": SmallModel(model.with_lora(None), weights[0], 3),
        "another": SmallModel(*other, 1),
    }


def talk(model, weights, *, piece=0, turns=6, **changes):
    """Replies of five rows over some turns, in some of which a row waits; and the generator."""
    rng = np.random.default_rng(0)
    generator = Generator(model, *weights, **SIZES | changes)
    for slot in range(5):
        generator.reset(slot, seed=slot)
    said = []
    for turn in range(turns):
        if turn == 3:
            generator.reset(1, seed=9)  # a game leaves, another one takes its row
        slots = [slot for slot in range(5) if rng.random() < 0.8]
        # Words that come again, and one turn into a longer cache.
        least = 220 if turn == 2 else 1
        sizes = {slot: least + rng.integers(12) for slot in slots}
        new = {slot: rng.integers(EOS + 1, 8, size=n).tolist() for slot, n in sizes.items()}
        generator.read(new)
        replies = {slot: [] for slot in new}
        while going := [slot for slot, reply in replies.items() if reply[-1:] != [EOS]]:
            for slot, tokens in generator.write(going, piece).items():
                assert len(tokens) <= (piece or MAX_NEW)
                replies[slot] += tokens
        said.append(replies)
    return said, generator


@pytest.fixture(scope="module")
def plain(model, weights):
    return {t: talk(model, weights, temperature=t)[0] for t in (0.0, 1.5)}


@pytest.mark.parametrize(
    ("name", "temperature"),
    [("look-up", 0.0), ("look-up", 1.5), ("base", 1.5), ("another", 0.0)],
)
def test_replies_are_those_without_guesses(model, weights, plain, drafts, name, temperature):
    lengths = {len(reply) for turn in plain[temperature] for reply in turn.values()}
    assert len(lengths) > 4
    assert MAX_NEW in lengths
    said, generator = talk(model, weights, temperature=temperature, draft=drafts[name])
    assert said == plain[temperature]
    assert 0 < generator.guesses.right < generator.guesses.made


@pytest.mark.parametrize(("name", "piece"), [("look-up", 1), ("base", 4)])
def test_so_are_replies_in_pieces(model, weights, plain, drafts, name, piece):
    said, _ = talk(model, weights, temperature=1.5, draft=drafts[name], piece=piece)
    assert said == plain[1.5]


@pytest.mark.parametrize(
    ("temperature", "piece"), [(0.0, 0), pytest.param(1.5, 5, marks=pytest.mark.slow)]
)
def test_a_model_that_guesses_for_itself_is_always_right(model, weights, temperature, piece):
    """So its cache holds what the rows hold, over all turns, and draws what they draw."""
    alone, base = model.with_lora(None), weights[0]
    itself = SmallModel(alone, base, 3)
    how = {"temperature": temperature, "piece": piece}
    said, generator = talk(alone, (base,), **how, draft=itself)
    assert said == talk(alone, (base,), **how)[0]
    assert generator.guesses.right == generator.guesses.made > 50


def test_guesses_follow_an_adapter_that_changes(model, weights, drafts):
    base, lora = weights
    generator = Generator(model, base, lora, draft=drafts["look-up"], **SIZES)
    generator.extend({0: [5, 6, 5, 6]})
    generator.use(jax.tree.map(jnp.zeros_like, lora))
    generator.reset(0)
    alone = Generator(model.with_lora(None), base, **SIZES)
    assert generator.extend({0: [5, 6, 5, 6]}) == alone.extend({0: [5, 6, 5, 6]})


def of_three(model, base, lora, prompt, temperature):
    """Probability of each three tokens after a prompt, [V, V, V]; an end is followed by ends."""

    @jax.jit
    def after(tokens_BT):
        places = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)
        x = model.hidden(base, tokens_BT, places, places * 0, lora)[:, -1]
        return jax.nn.softmax(model.head(base)(x) / temperature)

    def continued(heads):
        rows = [[*prompt, *head] for head in heads]
        found = np.array(after(jnp.array(rows)))
        for p, head in zip(found, heads, strict=True):
            if EOS in head:
                p[:] = np.eye(V)[EOS]
        return found

    one = continued([()])[0].astype(np.float64)
    two = continued([(a,) for a in range(V)])
    three = continued([(a, b) for a in range(V) for b in range(V)]).reshape(V, V, V)
    return one[:, None, None] * two[:, :, None] * three


def p_value(counts, expected):
    """Chi-square, all rare outcomes taken together."""
    expected = expected.ravel() / expected.sum() * counts.sum()
    rare, counts = expected < 8, counts.ravel()
    pooled = [np.append(x[~rare], x[rare].sum()) for x in (counts, expected)]
    return chisquare(*pooled).pvalue


@pytest.mark.parametrize("name", [pytest.param("look-up", marks=pytest.mark.slow), "base"])
def test_sampled_replies_follow_the_softmax(model, weights, drafts, name):
    prompt, rounds, slots, temperature = [5, 0, 0, 0, 7, 0, 0, 1], 24, 64, 1.5
    generator = Generator(
        model,
        *weights,
        **SIZES | {"slots": slots, "group": slots, "max_len": 32, "max_new": 4},
        temperature=temperature,
        draft=drafts[name],
    )
    counts = np.zeros((V, V, V))
    for turn in range(rounds):
        for slot in range(slots):
            generator.reset(slot, seed=turn * slots + slot)
        for reply in generator.extend(dict.fromkeys(range(slots), prompt)).values():
            first, second, third = [*reply, EOS, EOS][:3]
            counts[first, second, third] += 1
    assert generator.guesses.right > 100
    assert p_value(counts, of_three(model, *weights, prompt, temperature)) > 0.01
    # The test can fail: replies of the base alone would be others, and colder ones too.
    assert p_value(counts, of_three(model, weights[0], None, prompt, temperature)) < 1e-6
    assert p_value(counts, of_three(model, *weights, prompt, 1.2)) < 1e-6


@pytest.mark.parametrize(
    ("text", "guessed"),
    [
        ([5, 6, 7, 8, 5, 6], [7, 8, 5]),  # as before
        ([5, 6, 7, 9, 6, 8, 5, 6], [7, 9, 6]),  # longer endings count more than later ones
        ([5, 6, 9, 5, 7, 5], [7, 5]),  # else the last one, as far as it goes
        ([5, 6, 7], []),
        ([5], []),
        ([7, 5, 6, 7, 7], [7]),
        ([6, 7, 8, 9, 4, 5, 6, 7, 8, 9, 4], [5, 6, 7]),
    ],
)
def test_look_up_copies_what_followed(text, guessed):
    # Behind the text is what an earlier, wrong guess has left.
    text_BS = jnp.array([text + [5, 6, 7, 8, 9, 4][: 16 - len(text)] + [0] * 20])[:, :24]
    seen = Seen(text_BS, jnp.array([len(text) - 1]), jnp.array([True]), None)
    guesses_BQ, n_B, _ = LookUp(3).guess(seen, None, None)
    assert guesses_BQ[0, : n_B[0]].tolist() == guessed


def test_programs_are_compiled_for_few_numbers_of_keys(model, weights, drafts):
    _, generator = talk(model, weights, draft=drafts["look-up"])
    (writer,) = generator._writers.values()
    assert set(writer.by_size) == {MIN_KEYS, 4 * PAGE}
    assert generator.compile_seconds > 0


def test_guesses_are_told_as_a_share():
    guesses = Guesses()
    assert (guesses.share, Guesses(4, 3).share) == (0.0, 0.75)
    guesses.add(2000, 500)
    assert str(guesses) == "25% of 2,000 guessed tokens were right"
