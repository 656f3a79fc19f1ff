"""The arrows of the data flow, one module each; every one resumes where it stopped.

games -> episodes -> memories -> examples -> adapter -> results -> report
"""

from duomem_jax.stages.audit import audit
from duomem_jax.stages.evaluate import evaluate
from duomem_jax.stages.examples import Examples, prepare
from duomem_jax.stages.export import export
from duomem_jax.stages.generate import make_games
from duomem_jax.stages.label import Label, label
from duomem_jax.stages.memories import maintain, remember
from duomem_jax.stages.play import play

__all__ = [
    "Examples",
    "Label",
    "audit",
    "evaluate",
    "export",
    "label",
    "maintain",
    "make_games",
    "play",
    "prepare",
    "remember",
]
