"""The arrows of the data flow, one module each; every one resumes where it stopped.

games -> episodes -> memories -> examples -> adapter (`train.run`) -> results -> report

The command line is made from these functions: their arguments, defaults and docstrings.
"""

from duomem_jax.stages import locomo, memory
from duomem_jax.stages.audit import audit
from duomem_jax.stages.chat import chat
from duomem_jax.stages.compile_check import compile_check
from duomem_jax.stages.demonstrations import demonstrations
from duomem_jax.stages.dialogues import dialogues
from duomem_jax.stages.doctor import doctor
from duomem_jax.stages.draw import draw
from duomem_jax.stages.evaluate import evaluate, results
from duomem_jax.stages.examples import Examples, examples
from duomem_jax.stages.export import export
from duomem_jax.stages.generate import generate
from duomem_jax.stages.label import Label, label
from duomem_jax.stages.lessons import Lessons, lessons
from duomem_jax.stages.lines import dump, import_
from duomem_jax.stages.memories import maintain, memories
from duomem_jax.stages.pictures import Pictures, pictures
from duomem_jax.stages.play import play
from duomem_jax.stages.show import show

__all__ = [
    "Examples",
    "Label",
    "Lessons",
    "Pictures",
    "audit",
    "chat",
    "compile_check",
    "demonstrations",
    "dialogues",
    "doctor",
    "draw",
    "dump",
    "evaluate",
    "examples",
    "export",
    "generate",
    "import_",
    "label",
    "lessons",
    "locomo",
    "maintain",
    "memories",
    "memory",
    "pictures",
    "play",
    "results",
    "show",
]
