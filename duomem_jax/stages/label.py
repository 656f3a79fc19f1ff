"""Packed rows to rows with a teacher's targets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Few, Seed, Softness, options
from duomem_jax.base.shard import WHOLE
from duomem_jax.data.rows import Kind
from duomem_jax.models.locate import model_path
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server, served_name
from duomem_jax.stages.bucket import in_a_bucket
from duomem_jax.stages.options import Folder, Part, served_record

if TYPE_CHECKING:
    from duomem_jax.labels.label import Scorer


@options
class Label:
    """What is stored of a teacher's distributions."""

    kind: Kind = "topk"  # the likeliest tokens and a rest, or samples
    k: Annotated[int, Interval(ge=2, le=2**16)] = 64  # candidates a token
    temperature: Softness = 1.0  # of the distributions; training must use the same
    seed: Seed = 0  # of samples
    rows: Few = 8  # read at once, on each device
    dtype: Literal["float32", "bfloat16"] = "float32"
    tokenizer: str = ""  # of a served teacher, whose server does not tell: Hugging Face folder


@in_a_bucket
def label(
    out: Folder,
    /,
    examples: str,
    teacher: str,
    how: Label = Label(),
    shard: Part = WHOLE,
    server: Server = Server(),
) -> WriteReport:
    """Store a teacher's distributions over the replies of packed rows, for `train.py`.

    Args:
        out: folder to write, or gs://BUCKET/FOLDER.
        examples: packed rows, from `duomem examples`.
        teacher: model with the vocabulary of the rows: folder, hub id, or openai:NAME for one that
            vLLM serves.
        how: candidates, temperature.
        shard: write part i/n.
        server: where a served teacher is, and how hard to ask.

    Raises:
        UserError: bad input, a teacher with another vocabulary, or an output folder of another
            config.
    """
    # Imported here: every command imports this module, and no other one needs `labels`.
    from duomem_jax.labels.label import label_examples

    if name := served_name(teacher):
        scorer = _served_scorer(name, how, server, served_record(out, shard))
    else:
        scorer = _local_scorer(teacher, how)
    return label_examples(examples, scorer, out, shard=shard)


def _served_scorer(name: str, how: Label, server: Server, record: Path) -> "Scorer":
    from duomem_jax.labels.served import ServedScorer

    # vLLM's `prompt_logprobs` are the model's own log-probabilities; nothing can be drawn from the
    # rest of the vocabulary, nor softened without it.
    if how.kind != "topk" or how.temperature != 1 or not how.tokenizer:
        raise UserError(
            f"teacher openai:{name} is served: it gives the likeliest tokens at temperature 1, and "
            "how.tokenizer must name the folder of its tokenizer"
        )
    return ServedScorer(name, model_path(how.tokenizer), server, record, k=how.k)


def _local_scorer(teacher: str, how: Label) -> "Scorer":
    from duomem_jax.labels.local import ModelScorer

    return ModelScorer(
        model_path(teacher),
        kind=how.kind,
        k=how.k,
        temperature=how.temperature,
        seed=how.seed,
        rows=how.rows,
        dtype=how.dtype,
    )
