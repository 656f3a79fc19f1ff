"""Slices by name."""

import pytest

from duomem_jax.aot.topology import parse_topology
from duomem_jax.base.errors import UserError


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("v5e:4x4", (4, 4)),
        ("v5e-1", (1, 1)),
        ("v5e-8", (2, 4)),
        ("v5e-256", (16, 16)),
        ("v6e-64", (8, 8)),
        ("v5p:2x2x4", (2, 2, 4)),
    ],
)
def test_parse_topology(text, shape):
    topology = parse_topology(text, 2)
    assert topology.shape == shape
    assert topology.chip.name == text[:3]
    assert str(topology).startswith("2 slices of ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v9:2x2", "no chip 'v9'; give one of v5e, v5p, v6e"),
        ("v5e", "give v5e:4x4 or v5e-16"),
        ("v5e-12", "'12' is no shape"),
        ("v5e:4x4x4", "give v5e:4x4"),
        ("v5e:0x4", "no shape"),
        ("v5p-8", "give v5p:4x4x4"),
    ],
)
def test_parse_topology_mistakes_are_one_sentence(text, says):
    with pytest.raises(UserError, match=says) as error:
        parse_topology(text)
    assert "\n" not in str(error.value)
