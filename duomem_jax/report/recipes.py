"""A table of recipes: what each adapter cost, and how near it came to the teacher."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from duomem_jax.evals.cost import TrainingCost
from duomem_jax.evals.fidelity import Fidelity
from duomem_jax.report.table import markdown_table

HOW_TO_READ = """\
Means over the training seeds, with the smallest and the largest where they differ. **Steps**,
**tokens** (of replies, with loss) and **s** (wall time, first compilation included) are those of
training; **targets** are the bytes of stored teacher targets. The rest is measured on replies that
the teacher wrote in the test games, which no adapter was trained on: **KL(T,S)** and **KL(S,T)** to
the teacher and the cross-entropy **CE** of what it wrote, in nats a token; **same** is how often
both would write the same token, **ECE** the expected calibration error of the student's confidence
in its likeliest token (15 bins).
"""


_COSTS = ("steps", "tokens", "s")


class RecipeRow(NamedTuple):
    """One recipe over its seeds; a student without an adapter has cost nothing."""

    name: str
    costs: list[TrainingCost]
    fidelities: list[Fidelity]


def costs_table(rows: Mapping[str, Sequence[TrainingCost]]) -> str:
    """What training took, by what was trained; costs are of its seeds."""
    body = [[name, *_cost_cells(costs)] for name, costs in rows.items()]
    return markdown_table(["adapter", *_COSTS], body)


def recipes_table(rows: Sequence[RecipeRow]) -> str:
    """Costs and distances of each recipe."""
    header = ["adapter", *_COSTS, "targets, MB"]
    header += ["KL(T,S)", "KL(S,T)", "CE", "same %", "ECE %"]
    body = []
    for name, costs, fidelities in rows:
        cells = [name]
        if costs:
            # Targets are the recipe's own: equal for all of its seeds.
            cells += [*_cost_cells(costs), f"{costs[0].target_bytes / 1e6:,.1f}"]
        else:
            cells += ["-"] * 4
        for field, scale, form in (
            ("forward_kl", 1, "{:.3f}"),
            ("reverse_kl", 1, "{:.3f}"),
            ("cross_entropy", 1, "{:.3f}"),
            ("agreement", 100, "{:.1f}"),
            ("calibration_error", 100, "{:.1f}"),
        ):
            cells.append(_spread([scale * getattr(f, field) for f in fidelities], form))
        body.append(cells)
    return markdown_table(header, body)


def _cost_cells(costs: Sequence[TrainingCost]) -> list[str]:
    tokens = _spread([c.tokens for c in costs], "{:,.0f}")
    # Seeds take as many steps each.
    return [f"{costs[0].steps}", tokens, _spread([c.seconds for c in costs], "{:,.0f}")]


def _spread(values: Sequence[float], form: str) -> str:
    mean, low, high = (form.format(f(values)) for f in (statistics.fmean, min, max))
    # Compared as printed: a range that rounds to one number says nothing.
    return mean if low == high else f"{mean} [{low}, {high}]"
