"""Several stages in a row: recipes, seeds, what is compared, the quick start."""

from duomem_jax.experiments.compare import compare
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.quickstart import quickstart
from duomem_jax.experiments.real import real
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.remember import remember
from duomem_jax.experiments.run import run_experiment

__all__ = ["Experiment", "Recipe", "compare", "quickstart", "real", "remember", "run_experiment"]
