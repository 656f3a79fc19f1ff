import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.decode import programs
from duomem_jax.decode.generator import Generator
from duomem_jax.decode.pages import MIN_KEYS, PAGE
from duomem_jax.lora.tree import Adapter, stack
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

EOS, V, MAX_LEN, MAX_NEW = 3, 23, 400, 9
SIZES = {"slots": 5, "max_len": MAX_LEN, "eos_id": EOS, "max_new": MAX_NEW, "chunk": 8, "group": 2}


@pytest.fixture(scope="module")
def model():
    config = ModelConfig("qwen3", V, 24, 2, 4, 2, 8, 40, max_len=MAX_LEN)
    return Model(config, LoraConfig(rank=2, alpha=4.0))


@pytest.fixture(scope="module")
def weights(model):
    """Weights large enough that greedy replies vary, and some of them end early."""

    def grow(tree, scale):
        rng = np.random.default_rng(0)

        def leaf(path, x):
            if "scale" in str(path):
                return jnp.ones(x.shape)
            return jnp.asarray(scale * rng.normal(size=x.shape) / x.shape[-1] ** 0.5, jnp.float32)

        return jax.tree_util.tree_map_with_path(leaf, tree)

    key = jax.random.key(0)
    shapes = jax.eval_shape(model.init, key), jax.eval_shape(model.init_lora, key)
    return grow(shapes[0], 1.5), grow(shapes[1], 0.8)


@pytest.fixture(scope="module")
def recompute(model, weights):
    """Plain greedy generation: the whole conversation again for each token."""
    base, lora = weights

    @jax.jit
    def next_token(tokens_1T, n, lora):
        positions_1T = jnp.arange(MAX_LEN)[None]
        x_1TD = model.hidden(base, tokens_1T, positions_1T, positions_1T * 0, lora)
        return model.head(base)(x_1TD[0, n - 1]).argmax()

    def reply(conversation, *, with_lora=False):
        tokens = list(conversation)
        while len(tokens) < len(conversation) + MAX_NEW - 1 and tokens[-1:] != [EOS]:
            padded = np.zeros((1, MAX_LEN), np.int32)
            padded[0, : len(tokens)] = tokens
            tokens.append(int(next_token(padded, len(tokens), lora if with_lora else None)))
            if tokens[-1] == EOS:
                return tokens[len(conversation) :]
        return [*tokens[len(conversation) :], EOS]

    return reply


class Conversations:
    """Random turns in a generator's rows, and what each conversation should be."""

    def __init__(self, generator, recompute, seed=0):
        self.generator, self.recompute = generator, recompute
        self.rng = np.random.default_rng(seed)
        self.held: dict[int, list[int]] = {}
        self.lengths: list[int] = []

    def enter(self, slot):
        self.generator.reset(slot)
        self.held[slot] = []

    def turn(self, lengths):
        new = {slot: self.rng.integers(EOS + 1, V, size=n).tolist() for slot, n in lengths.items()}
        replies = self.generator.extend(new)
        assert replies.keys() == new.keys()
        for slot, tokens in new.items():
            self.held[slot] += tokens
            assert replies[slot] == self.recompute(self.held[slot]), f"slot {slot}"
            self.held[slot] += replies[slot]
            self.lengths.append(len(replies[slot]))


def test_replies_equal_full_recomputation(model, weights, recompute):
    generator = Generator(model, weights[0], **SIZES)
    talk = Conversations(generator, recompute)
    for slot in range(4):
        talk.enter(slot)
    talk.turn({0: 1, 1: 8, 2: 30, 3: 17})
    talk.turn({0: 3, 1: 1, 2: 9, 3: 20})
    talk.enter(1)  # a game leaves, another one takes its row
    talk.enter(4)
    talk.turn({1: 25, 4: 2})  # the others wait
    talk.turn({0: 5, 1: 5, 2: 200, 3: 7, 4: 40})  # a row crosses into a longer cache
    talk.enter(2)
    talk.turn({2: 3, 3: 4})
    assert len(set(talk.lengths)) > 2  # replies of several lengths,
    assert max(talk.lengths) == MAX_NEW  # cut ones among them
    assert min(talk.lengths) < MAX_NEW


def test_group_and_chunk_sizes_change_nothing(model, weights, recompute):
    generator = Generator(model, weights[0], **SIZES | {"slots": 3, "group": 3, "chunk": 16})
    talk = Conversations(generator, recompute, seed=1)
    for slot in range(3):
        talk.enter(slot)
    talk.turn({0: 33, 1: 4, 2: 16})
    talk.turn({0: 4, 1: 40, 2: 1})


def test_replies_follow_the_adapter(model, weights, recompute):
    prompt = [5, 6, 7, 8]
    generator = Generator(model, *weights, **SIZES)
    adapted = recompute(prompt, with_lora=True)
    assert generator.extend({0: prompt})[0] == adapted
    assert adapted != recompute(prompt)


def test_rows_keep_their_own_adapters_of_a_stack(model, weights, recompute):
    prompt, (base, lora) = [5, 6, 7, 8], weights
    zero = jax.tree.map(jnp.zeros_like, lora)
    both, config = stack([Adapter(zero, model.lora), Adapter(lora, model.lora)])
    generator = Generator(model.with_lora(config), base, both, **SIZES)
    for slot, adapter in enumerate((1, 0, 1)):
        generator.reset(slot, adapter=adapter)
    replies = generator.extend(dict.fromkeys(range(3), prompt))
    assert replies[0] == replies[2] == recompute(prompt, with_lora=True)
    assert replies[1] == recompute(prompt)


def test_extend_checks_room_before_reading(model, weights, recompute):
    generator = Generator(model, weights[0], **SIZES)
    limit = MAX_LEN - MAX_NEW
    assert generator.fits(0, limit)
    assert not generator.fits(0, limit + 1)
    with pytest.raises(ValueError, match="cannot be read"):
        generator.extend({0: [5], 1: [5] * (limit + 1)})
    with pytest.raises(ValueError, match="cannot be read"):
        generator.extend({0: []})
    assert generator.extend({}) == {}
    tokens = [5, 9] * (limit // 2 - 8)
    first = generator.extend({0: tokens})[0]
    left = limit - len(tokens) - len(first)
    assert generator.fits(0, left)
    assert not generator.fits(0, left + 1)
    second = generator.extend({0: [7] * left})[0]
    assert second == recompute(tokens + first + [7] * left)


@pytest.mark.parametrize("temperature", [0.0, 2.0])
@pytest.mark.parametrize("piece", [1, 4])
def test_write_in_pieces_equals_the_reply_at_once(model, weights, piece, temperature):
    """Rows whose reply ends early make room for others while the rest go on."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(EOS + 1, V, size=n).tolist() for n in rng.integers(1, 30, size=16)]
    sizes = SIZES | {"temperature": temperature}

    def start(generator, slot, number):
        generator.reset(slot, seed=number)
        generator.read({slot: prompts[number]})

    whole, at_once = {}, Generator(model, weights[0], **sizes)
    for number in range(len(prompts)):
        start(at_once, 0, number)
        whole[number] = at_once.write([0])[0]
    assert len({len(reply) for reply in whole.values()}) > 2

    generator, held = Generator(model, weights[0], **sizes), {}
    found = {number: [] for number in whole}
    waiting = iter(whole)
    while not all(reply[-1:] == [EOS] for reply in found.values()):
        for slot in range(3):
            if slot not in held and (number := next(waiting, None)) is not None:
                held[slot] = number
                start(generator, slot, number)
        for slot, tokens in generator.write(held, piece).items():
            assert 0 < len(tokens) <= piece
            found[held[slot]] += tokens
            if tokens[-1] == EOS:
                del held[slot]
    assert found == whole


def test_sampling_depends_on_seed_turn_and_place_alone(model, weights):
    def play(slot, others=(), seed=7, **sizes):
        generator = Generator(model, weights[0], temperature=2.0, **SIZES | sizes)
        for other in range(generator.slots):
            generator.reset(other, seed=seed + other + 1)
        generator.reset(slot, seed=seed)
        first = generator.extend({slot: [5, 9, 4]} | {other: [6, 6, 6] for other in others})[slot]
        return first, generator.extend({slot: [5, 9, 4]})[slot]

    alone = play(0)
    assert play(2, [0, 1, 3]) == alone
    assert play(1, slots=2) == alone
    assert play(0, seed=8) != alone
    assert alone[0] != alone[1]


def test_sampled_tokens_follow_the_softmax(model, weights):
    base, prompt, n = weights[0], [5, 9, 4], 400
    positions = jnp.arange(len(prompt))[None]
    x = model.hidden(base, jnp.array([prompt]), positions, positions * 0)[0, -1]
    expected = np.asarray(jax.nn.softmax(model.head(base)(x) / 2.0))
    generator = Generator(model, base, temperature=2.0, **SIZES)
    seen = np.zeros(V)
    for seed in range(n):
        generator.reset(seed % 5, seed=seed)
        if seed % 5 == 4:
            for reply in generator.extend(dict.fromkeys(range(5), prompt)).values():
                seen[reply[0]] += 1 / n
    assert np.abs(seen - expected).max() < 4 * np.sqrt(0.25 / n)


def test_programs_are_compiled_for_few_numbers_of_keys(model, weights):
    generator = Generator(model, weights[0], **SIZES)
    for turn, slot in itertools.product(range(10), range(3)):
        generator.extend({slot: [5 + turn] * (1 + 10 * slot)})
    for part in (generator._reader.programs, generator._writers[MAX_NEW, 0.0]):
        assert set(part.by_size) == {MIN_KEYS, 4 * PAGE}
    assert generator.compile_seconds > 0


def test_generators_of_equal_shapes_share_what_is_compiled(model, weights):
    replies = []
    for _ in range(2):
        before = programs.compiled.cache_info()
        replies.append(Generator(model, weights[0], **SIZES).extend({3: [5, 9, 4]}))
        after = programs.compiled.cache_info()
    assert (after.hits - before.hits, after.misses) == (4, before.misses)
    assert replies[0] == replies[1]
