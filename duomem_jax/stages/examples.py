"""Episodes to packed rows."""

import dataclasses

from duomem_jax.agents.play import SHOWN
from duomem_jax.base.prompts import system_text
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.data.examples import View, build_examples
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.show import RetrievedGuidelines
from duomem_jax.models.locate import model_path
from duomem_jax.records.store.write import WriteReport
from duomem_jax.stages.played import world_of
from duomem_jax.text.tokenizer import load_tokenizer


@dataclasses.dataclass(frozen=True)
class Examples:
    """How episodes become packed training rows."""

    length: int = 1024  # T, tokens a row
    system: str = ""  # system message, or @FILE of it
    memory_share: float = 0.5  # share of the episodes that show memories
    k: int = SHOWN  # memories shown
    embedder: str = "hashing"
    seed: int = 0  # of which episodes show memories
    teacher_length: int = 2048  # tokens a row of the teacher's view


def prepare(
    episodes: str,
    tokenizer: str,
    out: str,
    memory: str = "",
    how: Examples = Examples(),
    shard: Shard = WHOLE,
    *,
    teacher: str = "",
    teacher_memory: str = "",
) -> WriteReport:
    """Tokenise, mask and pack won episodes, some of them with memories before them.

    Args:
        episodes, tokenizer, out, memory, how, shard: as `duomem examples` explains them.
        teacher: model whose tokenizer a teacher's own view is made with; empty: the student's.
        teacher_memory: bank that a teacher sees before every episode, in a view of its own.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    loaded = load_tokenizer(model_path(tokenizer))

    def shown(bank: str, share: float) -> RetrievedGuidelines | None:
        if not bank:
            return None
        memories = MemoryBank.load(bank, make_embedder(how.embedder))
        return RetrievedGuidelines(memories, k=how.k, share=share, seed=how.seed)

    system = system_text(how.system, world_of(episodes).prompt)
    student = View(loaded, how.length, system, shown(memory, how.memory_share))
    told = None
    if teacher or teacher_memory:
        own = load_tokenizer(model_path(teacher)) if teacher else loaded
        told = View(own, how.teacher_length, system, shown(teacher_memory, 1.0))
    return build_examples(episodes, out, student, told, shard=shard)
