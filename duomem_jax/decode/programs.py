"""Functions compiled once for each size that calls come in, and shared between generators."""

import functools
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from duomem_jax.base.heap import give_back
from duomem_jax.models.platform import platform

log = logging.getLogger(__name__)

# On a CPU, XLA multiplies with the library YNNPACK unless told otherwise. Written tokens are a few
# rows. With AVX2, XLA's own kernels are twice as fast at those; with AVX-512 they are not, and take
# up to three times as long for attention to 2,048 keys.
WRITE_ON_CPU = (("xla_cpu_experimental_ynn_fusion_type", ""),)


@dataclass(frozen=True)
class Recipe:
    """What is compiled; equal ones share their programs.

    Attributes:
        function: of `fixed` and, behind them, of the arrays of a call.
        fixed: hashable arguments.
        donated: places of arrays that a call may overwrite, `fixed` not counted.
        place: where the result lies; None: where it comes about.
        options: of the compiler, as (name, value).
    """

    function: Callable[..., Any]
    fixed: tuple[Hashable, ...] = ()
    donated: tuple[int, ...] = ()
    place: jax.sharding.Sharding | None = None
    options: tuple[tuple[str, str], ...] = ()


class Programs:
    """One function, compiled for each size that its calls ask for.

    Attributes:
        by_size: what is compiled, by the name that the caller gave the size.
        seconds: spent so far on tracing and compiling.
    """

    def __init__(self, recipe: Recipe):
        """Compile nothing yet."""
        self.seconds = 0.0
        self._recipe = recipe
        self.by_size: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, size: Hashable, *args: Any) -> Any:
        """Call the function; arguments of one `size` have equal shapes."""
        # Timed apart, since compiling is taken off the seconds that games are charged for.
        if size not in self.by_size:
            start = time.monotonic()
            # Shapes alone, as hashable values: the cache must not keep weights or rows alive.
            leaves, tree = jax.tree.flatten(args)
            self.by_size[size] = compiled(self._recipe, tree, tuple(map(_shape, leaves)))
            # Memory of the compiler and of arrays of the size before, which this one cannot reuse.
            give_back()
            self.seconds += time.monotonic() - start
        return self.by_size[size](*args)


def writing_options() -> tuple[tuple[str, str], ...]:
    """Of the compiler, for programs that write a token of each row at a time."""
    return WRITE_ON_CPU if platform() == "cpu" and not _has_avx512() else ()


@functools.cache
def _has_avx512() -> bool:
    """Whether the CPU says so; only Linux tells."""
    said = Path("/proc/cpuinfo")
    return said.exists() and "avx512f" in said.read_text()


@functools.lru_cache(maxsize=512)
def compiled(
    recipe: Recipe, tree: jax.tree_util.PyTreeDef, shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> Callable[..., Any]:
    """The recipe's function, compiled for these shapes."""
    _tell()
    jitted = _jitted(recipe)
    jitted.lower(*jax.tree.unflatten(tree, shapes)).compile()
    # The function and not what was compiled, which `jit` finds again. A program that is called
    # directly refuses committed arrays of 4-bit numbers: it asks for packed ones, and they do not
    # say that they are (JAX 0.10).
    return jitted


@functools.cache
def _tell() -> None:
    """Say once why nothing is heard for a while."""
    log.info("compiling: the first replies wait for it")


@functools.lru_cache(maxsize=128)
def _jitted(recipe: Recipe) -> Any:
    return jax.jit(
        functools.partial(recipe.function, *recipe.fixed),
        donate_argnums=recipe.donated,
        compiler_options=dict(recipe.options) or None,
        out_shardings=recipe.place,
    )


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    # Only a committed array says where it wants to lie; others follow those.
    sharding = x.sharding if isinstance(x, jax.Array) and x.committed else None
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
