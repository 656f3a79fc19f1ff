"""Players scored on games, what models memorise, intervals and paired tests."""

from duomem_jax.evals.describe import Description
from duomem_jax.evals.fidelity import Fidelity, measure_fidelity
from duomem_jax.evals.stats import Interval
from duomem_jax.evals.summary import Summary, compare, summarize

__all__ = [
    "Description",
    "Fidelity",
    "Interval",
    "Summary",
    "compare",
    "measure_fidelity",
    "summarize",
]
