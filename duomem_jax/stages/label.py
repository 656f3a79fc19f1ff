"""Packed rows to rows with a teacher's targets."""

import dataclasses
from typing import Literal

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.data.rows import Kind
from duomem_jax.models.locate import model_path
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server, served_name
from duomem_jax.stages.play import _record


@dataclasses.dataclass(frozen=True)
class Label:
    """What is stored of a teacher's distributions."""

    kind: Kind = "topk"  # the likeliest tokens and a rest, or samples
    k: int = 64  # candidates a token
    temperature: float = 1.0  # of the distributions; training must use the same
    seed: int = 0  # of samples
    rows: int = 8  # read at once, on each device
    dtype: Literal["float32", "bfloat16"] = "float32"
    tokenizer: str = ""  # of a served teacher, whose server does not tell: Hugging Face folder


def label(
    examples: str,
    teacher: str,
    out: str,
    how: Label = Label(),
    shard: Shard = WHOLE,
    server: Server = Server(),
) -> WriteReport:
    """Store what a teacher says of every reply token of packed rows.

    Raises:
        UserError: bad input, a teacher with another vocabulary, or an output folder of another
            config.
    """
    from duomem_jax.labels.label import Scorer, label_examples
    from duomem_jax.labels.local import ModelScorer
    from duomem_jax.labels.served import ServedScorer

    scorer: Scorer
    if name := served_name(teacher):
        if how.kind != "topk" or how.temperature != 1 or not how.tokenizer:
            raise UserError(
                f"teacher {teacher} is served: it gives the likeliest tokens at temperature 1, and "
                "how.tokenizer must name the folder of its tokenizer"
            )
        folder, record = model_path(how.tokenizer), _record(out, shard)
        scorer = ServedScorer(name, folder, server, record, k=how.k)
        return label_examples(examples, scorer, out, shard=shard)
    scorer = ModelScorer(
        model_path(teacher),
        kind=how.kind,
        k=how.k,
        temperature=how.temperature,
        seed=how.seed,
        rows=how.rows,
        dtype=how.dtype,
    )
    return label_examples(examples, scorer, out, shard=shard)
