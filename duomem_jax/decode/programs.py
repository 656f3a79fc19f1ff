"""Reading and writing, compiled once for each length of cache that they look at."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax

from duomem_jax.decode.read import read
from duomem_jax.decode.write import Style, write
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform

MIN_KEYS = 256  # tokens of the cache that a call looks at, at least
# Written tokens are a few rows. Those XLA multiplies with a kernel at least as fast by itself as in
# its library YNNPACK (twice as fast on AVX2), which it takes on a CPU unless told otherwise.
WRITE_ON_CPU = (("xla_cpu_experimental_ynn_fusion_type", ""),)


class Programs:
    """One function, compiled for each number of keys that its calls ask for.

    Attributes:
        by_keys: what is compiled, by the number of keys that it looks at.
        seconds: spent so far on tracing and compiling.
    """

    def __init__(self, build: Callable[[int, tuple], jax.stages.Compiled], max_len: int):
        """Compile nothing yet.

        Args:
            build: a compiled function for so many keys and arguments of these shapes.
            max_len: tokens of the cache: never more keys than those.
        """
        self.seconds = 0.0
        self._build, self._max_len = build, max_len
        self.by_keys: dict[int, jax.stages.Compiled] = {}

    def __call__(self, tokens: int, *args: Any) -> Any:
        """Call the function so that it sees the first `tokens` of each row, or a few more."""
        # A power of two: each size has to be compiled, which takes as long as many games.
        keys = min(max(MIN_KEYS, 1 << (tokens - 1).bit_length()), self._max_len)
        # Timed apart, since compiling is taken off the seconds that games are charged for.
        if keys not in self.by_keys:
            start = time.monotonic()
            self.by_keys[keys] = self._build(keys, args)
            self.seconds += time.monotonic() - start
        return self.by_keys[keys](*args)


def compile_read(model: Model, keys: int, args: tuple) -> jax.stages.Compiled:
    """`read(model, keys, *args)` for the shapes of `args`; generators of equal shapes share it."""
    return _shared(read, (model, keys), args)


def compile_write(
    model: Model, style: Style, piece: int, keys: int, args: tuple
) -> jax.stages.Compiled:
    """`write(model, style, piece, keys, *args)` for the shapes of `args`; shared as `read` is."""
    options = WRITE_ON_CPU if platform() == "cpu" else ()
    return _shared(write, (model, style, piece, keys), args, options)


def _shared(
    function: Callable[..., Any],
    fixed: tuple,
    args: tuple,
    options: tuple[tuple[str, str], ...] = (),
) -> jax.stages.Compiled:
    # Shapes alone, as hashable values: the cache must not keep weights or rows alive.
    leaves, tree = jax.tree.flatten(args)
    return _compile(function, fixed, tree, tuple(map(_shape, leaves)), options)


@functools.lru_cache(maxsize=128)
def _compile(
    function: Callable[..., Any],
    fixed: tuple,
    tree: jax.tree_util.PyTreeDef,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
    options: tuple[tuple[str, str], ...],
) -> jax.stages.Compiled:
    # Argument 1 is `Held`: a cache may be larger than all the rest, and must not be there twice.
    jitted = jax.jit(functools.partial(function, *fixed), donate_argnums=1)
    return jitted.lower(*jax.tree.unflatten(tree, shapes)).compile(dict(options))


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    # Only a committed array says where it wants to lie; others follow those.
    sharding = x.sharding if isinstance(x, jax.Array) and x.committed else None
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
