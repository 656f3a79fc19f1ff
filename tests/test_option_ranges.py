"""Every number that a user can give has a range, and what lies outside of it is refused."""

import dataclasses
import inspect
import math
import typing

import pytest

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import interval
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.train.config import TrainConfig


def numbers(owner, seen):
    """(owner, field, type) of every number among the options of a function or a record."""
    if owner in seen:
        return
    seen.add(owner)
    hints = typing.get_type_hints(owner, include_extras=True)
    hints.pop("return", None)
    for name, hint in hints.items():
        plain = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        # `tuple[int, ...]`, `Recall | None`, and the parts of both.
        for kind in (hint, plain, *typing.get_args(plain)):
            bare = typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
            if dataclasses.is_dataclass(bare):
                yield from numbers(bare, seen)
            elif bare in (int, float) and (kind is not plain or kind is hint):
                yield owner, name, kind


def all_numbers():
    seen = set()
    owners = [*(command.run for command in cli.commands().values()), TrainConfig, Experiment]
    found = [number for owner in owners for number in numbers(owner, seen)]
    # A share of a stage is one word, checked by its own parser; a class variable is no option.
    return [n for n in found if n[0].__name__ not in ("Shard",)]


def test_every_numeric_option_declares_its_range():
    found = all_numbers()
    assert len(found) > 40
    bare = {f"{owner.__name__}.{name}" for owner, name, kind in found if interval(kind) is None}
    assert not bare


def outside(kind):
    """Values that a type must refuse."""
    wanted = interval(kind)
    low = wanted.ge - 1 if wanted.ge is not None else wanted.gt
    high = wanted.le + 1 if wanted.le is not None else wanted.lt
    return [low, high, *([math.nan, math.inf, -math.inf] if kind.__origin__ is float else [])]


def call(owner, **given):
    """Call with something for each argument without a default."""
    missing = [a for a in inspect.signature(owner).parameters.values() if a.default is a.empty]
    first = [given.pop(a.name, "x") for a in missing if a.kind is a.POSITIONAL_ONLY]
    rest = {a.name: "x" for a in missing if a.kind is not a.POSITIONAL_ONLY}
    return owner(*first, **(rest | given))


@pytest.mark.parametrize(
    ("owner", "name", "kind"), all_numbers(), ids=lambda x: getattr(x, "__name__", None) or str(x)
)
def test_a_number_outside_its_range_is_refused_by_name(owner, name, kind):
    for value in outside(kind):
        given = {name: (value,) if name in ("seeds", "profile", "ids") else value}
        with pytest.raises(UserError, match=f"field {name} is {value}; give a "):
            call(owner, **given)


def test_the_ends_of_a_range_belong_to_it():
    from duomem_jax.agents.play import Recall, Talk
    from duomem_jax.models.lora import LoraConfig

    assert Recall(k=0).k == 0
    assert Talk(temperature=0).temperature == 0
    assert LoraConfig(rank=1, dropout=0.0).rank == 1
