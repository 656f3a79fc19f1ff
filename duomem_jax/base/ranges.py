"""Which numbers an option takes: said in its type, and checked in one place for all commands.

An option's type is `Annotated[int, Interval(ge=1, le=64)]` (PEP 593, with annotated-types'
vocabulary). Records of options are made with `options`, functions whose own arguments are options
with `checked`, so that the command line, a config file and a caller in Python meet one check.
"""

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Hashable, Iterator
from typing import Annotated, Any, ParamSpec, TypeVar, dataclass_transform

from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import alternatives

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Upper ends are beyond all use, and below what breaks: an int32, the memory of any machine.
Count = Annotated[int, Interval(ge=1, lt=2**31)]
Limit = Annotated[int, Interval(ge=0, lt=2**31)]  # 0: none
Few = Annotated[int, Interval(ge=1, le=2**16)]  # things that are held at once
# Tokens of a row or a reply, of which one alone would be its end.
Length = Annotated[int, Interval(ge=2, le=2**20)]
Seed = Annotated[int, Interval(ge=0, lt=2**32)]  # what every generator of random numbers takes
Share = Annotated[float, Interval(ge=0, le=1)]
Below1 = Annotated[float, Interval(ge=0, lt=1)]
Temperature = Annotated[float, Interval(ge=0, le=100)]  # 0: the likeliest token
Softness = Annotated[float, Interval(gt=0, le=100)]  # a temperature that logits are divided by
Amount = Annotated[float, Interval(ge=0, le=1_000_000)]
Positive = Annotated[float, Interval(gt=0, le=1_000_000)]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def options(cls: type[T]) -> type[T]:
    """A frozen dataclass whose numbers are checked when it is made.

    Making one raises UserError where a number is out of its range.
    """
    own = cls.__dict__.get("__post_init__")

    def check(self: Any) -> None:
        # The ranges first: what the record asks of several fields together may rely on them.
        kind: Any = type(self)
        for name, hint in _hints(kind).items():
            _check(name, getattr(self, name), hint)
        if own is not None:
            own(self)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True)(cls)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose own numbers are checked before it runs.

    It raises UserError where one is out of its range.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in inspect.signature(function).bind(*args, **kwargs).arguments.items():
            _check(name, value, _hints(function).get(name))
        return function(*args, **kwargs)

    return run


@functools.cache
def _hints(owner: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(owner, include_extras=True)


def interval(hint: Any) -> Interval | None:
    """The range that a type declares, None where it declares none."""
    marks = getattr(hint, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Interval)), None)


def _check(name: str, value: Any, hint: Any) -> None:
    if len(parts := alternatives(hint)) > 1:
        # `Count | None`: a number, or as something else decides.
        for part in parts:
            _check(name, value, part)
        return
    if typing.get_origin(hint) is tuple:
        # A tuple of any length: `tuple[Seed, ...]`.
        for item in value:
            _check(name, item, typing.get_args(hint)[0])
        return
    wanted = interval(hint)
    # Other types than numbers are refused by the parser, or by `base.fields`.
    if wanted is None or isinstance(value, bool) or not isinstance(value, int | float):
        return
    # A NaN is neither inside nor outside of anything.
    if not math.isfinite(value) or any(_broken(value, wanted)):
        kind = "whole" if isinstance(value, int) else "finite"
        raise UserError(f"field {name} is {value}; give a {kind} number, {_words(wanted)}")


def _broken(value: float, wanted: Interval) -> Iterator[bool]:
    if wanted.ge is not None:
        yield value < wanted.ge  # type: ignore[operator]
    if wanted.gt is not None:
        yield value <= wanted.gt  # type: ignore[operator]
    if wanted.le is not None:
        yield value > wanted.le  # type: ignore[operator]
    if wanted.lt is not None:
        yield value >= wanted.lt  # type: ignore[operator]


def _words(wanted: Interval) -> str:
    ends = {
        "{:,} or more": wanted.ge,
        "more than {:,}": wanted.gt,
        "at most {:,}": wanted.le,
        "below {:,}": wanted.lt,
    }
    return " and ".join(words.format(end) for words, end in ends.items() if end is not None)
