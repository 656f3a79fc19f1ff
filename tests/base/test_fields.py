"""Types of the fields of dataclasses."""

import dataclasses
from typing import Literal

import pytest

from duomem_jax.base.fields import check_fields


@dataclasses.dataclass(frozen=True)
class Inner:
    rank: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str = "x"
    steps: int = 1
    rate: float = 1.0
    on: bool = False
    limit: int | None = None
    sizes: tuple[int, ...] = ()
    writers: tuple[Literal["a", "b"], ...] = ()
    inner: Inner = Inner()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rate": 1},
        {"rate": float("nan")},
        {"on": True},
        {"limit": 3},
        {"sizes": (1, 2), "writers": ("b", "a")},
    ],
)
def test_check_fields_lets_pass(fields):
    check_fields(Outer(**fields))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": None}, "field name is None; give str"),
        ({"steps": "7"}, "field steps is '7'; give int"),
        ({"steps": 1.0}, "field steps is 1.0; give int"),
        ({"steps": True}, "field steps is True; give int"),
        ({"rate": True}, "field rate is True; give float"),
        ({"on": 1}, "field on is 1; give bool"),
        ({"limit": False}, "field limit is False; give int | None"),
        ({"sizes": [1]}, "field sizes is [1]; give tuple[int, ...]"),
        ({"sizes": (1, "2")}, "field sizes is (1, '2'); give tuple[int, ...]"),
        ({"sizes": (1, True)}, "field sizes is (1, True); give tuple[int, ...]"),
        ({"writers": ("c",)}, "field writers is ('c',); give tuple[Literal['a', 'b'], ...]"),
        ({"inner": {"rank": 3}}, "field inner is {'rank': 3}; give Inner"),
        ({"inner": Inner("3")}, "field inner.rank is '3'; give int"),
    ],
)
def test_check_fields_refuses(fields, sentence):
    with pytest.raises(TypeError) as e:
        check_fields(Outer(**fields))
    assert str(e.value) == sentence
