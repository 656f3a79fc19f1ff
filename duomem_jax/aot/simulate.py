"""What a LoRA step and a game would take on chips that nobody has, from the model's shape alone.

Nothing is compiled. A step is a list of operations, each of which takes as long as its products or
its bytes do at the rates that a chip reaches, whichever is longer, and they run one after another:

    operation = max(operations / (share * peak rate), bytes / (share * memory rate))
    step      = sum of operations + attention + bytes received / half of the rate of all links

Weights lie whole on each chip (`fsdp` 1), so gradients of adapters are all that is summed up, and
playing sends nothing. What is left out: launching a program's kernels, the host, latency between
chips, collectives that overlap with the step, segments shorter than a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from duomem_jax.aot.collectives import RECEIVED
from duomem_jax.mesh.chips import Chip
from duomem_jax.models.config import ModelConfig
from duomem_jax.objectives.fused import chunk_length

BF16, F32 = 2, 4  # bytes


@dataclass(frozen=True)
class Reach:
    """Which share of a chip's peaks is reached, each where nothing else is done.

    Attributes:
        products: of the operations, in a large matrix product.
        memory: of the memory's rate, in a large sum.
        forward: of the operations, in attention.
        backward: the same for its gradient.
        decode: of the memory's rate, in reading weights and cache for one token in each row.
    """

    products: float
    memory: float
    forward: float
    backward: float
    decode: float


class Op(NamedTuple):
    """One operation: what it computes, and what it reads and writes."""

    flops: float
    hbm: float


@dataclass(frozen=True)
class Cost:
    """Seconds of one step, by what they go to, and what it does on each chip."""

    layers: float
    head: float
    attention: float
    network: float
    flops: float
    hbm: float
    received: float

    @property
    def step(self) -> float:
        """Seconds of all of it."""
        return self.layers + self.head + self.attention + self.network


def product(n: int, inputs: int, outputs: int) -> Op:
    """n tokens times a kernel, in bfloat16."""
    moved = n * inputs + n * outputs + inputs * outputs
    return Op(2 * n * inputs * outputs, BF16 * moved)


def touched(n: int, width: int) -> Op:
    """So many numbers of each token read or written, and next to nothing computed."""
    return Op(0, BF16 * n * width)


def projections(c: ModelConfig) -> list[tuple[int, int]]:
    """(inputs, outputs) of a layer's kernels; each has an adapter."""
    q, kv = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
    attention = [(c.d_model, q), (c.d_model, kv), (c.d_model, kv), (q, c.d_model)]
    return [*attention, *[(c.d_model, c.d_ff)] * 2, (c.d_ff, c.d_model)]


def adapter_size(c: ModelConfig, rank: int) -> int:
    """Numbers of the adapters of all layers."""
    return c.n_layers * rank * sum(i + o for i, o in projections(c))


def weights_size(c: ModelConfig) -> int:
    """Numbers of the kernels and the embedding, which is the head as well."""
    return c.n_layers * sum(i * o for i, o in projections(c)) + c.vocab_size * c.d_model


def forward_ops(c: ModelConfig, rank: int, n: int) -> Iterator[Op]:
    """One layer on n tokens, without attention."""
    for inputs, outputs in projections(c):
        yield product(n, inputs, outputs)
        yield product(n, inputs, rank)
        yield product(n, rank, outputs)
        yield touched(n, 2 * outputs)  # the adapter's part is added
    yield from _small_ops(c, n)


def backward_ops(c: ModelConfig, rank: int, n: int) -> Iterator[Op]:
    """The gradients of one layer's inputs and adapters, without attention."""
    for inputs, outputs in projections(c):
        yield product(n, outputs, inputs)
        # Of the adapter's middle, its two factors, and its input.
        yield product(n, outputs, rank)
        yield product(n, rank, outputs)
        yield product(n, inputs, rank)
        yield product(n, rank, inputs)
        yield touched(n, 2 * inputs)
    for op in _small_ops(c, n):
        yield Op(0, 2 * op.hbm)


def _small_ops(c: ModelConfig, n: int) -> Iterator[Op]:
    """Two norms, two sums of the residual, norms and rotation of heads, the gate."""
    heads = 2 * (c.n_heads + c.n_kv_heads) * c.head_dim
    for width in (2 * c.d_model, 2 * c.d_model, 3 * c.d_model, 3 * c.d_model, heads, 3 * c.d_ff):
        yield touched(n, width)


def head_ops(c: ModelConfig, rows: int, length: int) -> Iterator[Op]:
    """Loss and gradient of all tokens, chunk by chunk (`objectives.fused`)."""
    chunk = rows * chunk_length(rows, length, c.vocab_size)
    for _ in range(-(-rows * length // chunk)):
        yield product(chunk, c.d_model, c.vocab_size)
        yield product(chunk, c.vocab_size, c.d_model)
        # Logits are written and read twice; their gradient is written and read.
        yield Op(0, (3 * F32 + 2 * BF16) * chunk * c.vocab_size)


def train_step(
    c: ModelConfig,
    rank: int,
    rows: int,
    length: int,
    chip: Chip,
    reach: Reach,
    chips: int = 1,
    remat: bool = True,
) -> Cost:
    """A LoRA step on text, bfloat16, adapters on all linear layers.

    Args:
        c: shape of the model.
        rank: of the adapters.
        rows: of one chip, each one segment.
        length: T.
        chip: its peaks.
        reach: what of them is reached.
        chips: that share the batch out.
        remat: whether layers are computed again.
    """
    n, passes = rows * length, 1 + remat
    layer = [*forward_ops(c, rank, n)] * passes + [*backward_ops(c, rank, n)]
    head = [*head_ops(c, rows, length)]
    # Scores and values: two products of a width a pair that is seen; backward there are five.
    seen = rows * length * (length + 1) / 2 * 2 * c.n_heads * c.head_dim
    attention = c.n_layers * seen * (2 * passes / reach.forward + 5 / reach.backward) / chip.flops
    received = RECEIVED["all-reduce"](chips) * BF16 * adapter_size(c, rank)
    return Cost(
        layers=c.n_layers * _seconds(layer, chip, reach),
        head=_seconds(head, chip, reach),
        attention=attention,
        network=received / (chip.ici_rate / 2),
        flops=c.n_layers * (sum(op.flops for op in layer) + seen * (2 * passes + 5))
        + sum(op.flops for op in head),
        hbm=c.n_layers * sum(op.hbm for op in layer) + sum(op.hbm for op in head),
        received=received,
    )


def _seconds(ops: list[Op], chip: Chip, reach: Reach) -> float:
    rate, memory = reach.products * chip.flops, reach.memory * chip.hbm_rate
    return sum(max(op.flops / rate, op.hbm / memory) for op in ops)


def cache_size(c: ModelConfig, tokens: int) -> int:
    """Bytes of one row's keys and values."""
    return BF16 * 2 * c.n_layers * c.n_kv_heads * c.head_dim * tokens


def decode_step(c: ModelConfig, rows: int, cached: int, chip: Chip, reach: Reach) -> float:
    """Seconds of one new token in each row, whose caches have room for `cached`."""
    read = BF16 * weights_size(c) + rows * cache_size(c, cached)
    computed = 2 * rows * weights_size(c) / (reach.products * chip.flops)
    return max(computed, read / (reach.decode * chip.hbm_rate))


@dataclass(frozen=True)
class Games:
    """What playing asks of a model; all games are alike.

    Attributes:
        count: games in all.
        turns: of each.
        prompt: tokens before the first.
        read: tokens of an observation.
        reply: tokens of a reply.
    """

    count: int
    turns: int
    prompt: int
    read: int
    reply: int

    @property
    def length(self) -> int:
        """Tokens of a whole game."""
        return self.prompt + self.turns * (self.read + self.reply)


def play(
    c: ModelConfig, rank: int, games: Games, chip: Chip, reach: Reach, chips: int = 1
) -> float:
    """Seconds until the last chip has played its games, as many at once as its memory holds."""
    share = -(-games.count // chips)
    room = 0.8 * chip.hbm - BF16 * weights_size(c)  # as the generator plans it
    most = max(1, int(room // cache_size(c, games.length)))
    rounds = [most] * (share // most) + [share % most] * (share % most > 0)
    return sum(_round(c, rank, games, rows, chip, reach) for rows in rounds)


def _round(c: ModelConfig, rank: int, games: Games, rows: int, chip: Chip, reach: Reach) -> float:
    def reading(tokens: int) -> float:
        # Without attention, which is little at these lengths.
        return c.n_layers * _seconds([*forward_ops(c, rank, rows * tokens)], chip, reach)

    seconds = reading(games.prompt)
    for turn in range(games.turns):
        cached = games.prompt + turn * (games.read + games.reply) + games.read
        seconds += reading(games.read)
        seconds += games.reply * decode_step(c, rows, cached, chip, reach)
    return seconds
