"""What a run learns from: a teacher in the loop, stored targets, or the tokens alone."""

from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from duomem_jax.base.errors import UserError
from duomem_jax.mesh.sharding import model_shardings
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.models.model import Model
from duomem_jax.objectives.chunks import ON_CHUNKS
from duomem_jax.records.store.manifest import split_facts
from duomem_jax.text.tokenizer import load_tokenizer, vocabulary_fingerprint
from duomem_jax.train.config import TrainConfig


def find_teacher(config: TrainConfig, student: str) -> str:
    """The folder of the teacher in the loop, "" for none.

    Args:
        config: of the run.
        student: folder of the student.

    Raises:
        UserError: objective, teacher and data do not go together.
    """
    name, plays = config.objective.name, bool(config.on_policy.games)
    if plays and (config.data or not config.teacher or name == "text"):
        raise UserError(
            "config: with on_policy.games the student plays its own rows, and a teacher scores "
            "them; leave data empty, set teacher and an objective other than text"
        )
    if plays and name in ON_CHUNKS:
        raise UserError(
            f"config: objective.name {name} needs stored rows; leave on_policy.games empty"
        )
    if plays and config.trainable == "all":
        raise UserError("config: on_policy.games needs an adapter; set trainable to lora")
    facts = {} if plays else split_facts(Path(config.data), config.split)
    if name == "text":
        if config.teacher:
            raise UserError("config: objective.name is text, which needs no teacher; leave it away")
        return ""
    if not config.teacher:
        _check_stored(config, facts)
        return ""
    try:
        folder = model_path(config.teacher)
    except UserError as e:
        raise UserError(f"config: field teacher is {e}") from None
    if plays:
        wanted = vocabulary_fingerprint(load_tokenizer(student))
    else:
        made = facts["config"]
        wanted = made.get("teacher", made).get("vocabulary", "")
        _check_tokenizers(config, made)
    found = vocabulary_fingerprint(load_tokenizer(folder))
    if wanted != found:
        raise UserError(
            f"config: {config.data or student} has the vocabulary {wanted[:12]}, field teacher "
            f"{found[:12]}; give a teacher with the student's tokenizer"
        )
    return folder


def _check_tokenizers(config: TrainConfig, made: dict[str, Any]) -> None:
    """Raise UserError when the rows are aligned and the objective is not for that, or reversed."""
    name, own = config.objective.name, made.get("vocabulary")
    aligned = made.get("teacher", made).get("vocabulary") != own
    if aligned and name not in ON_CHUNKS:
        raise UserError(
            f"config: {config.data} holds a teacher's tokens of another vocabulary, which "
            f"objective.name {name} cannot compare; choose from {', '.join(ON_CHUNKS)}"
        )
    if name in ON_CHUNKS and not aligned:
        raise UserError(
            f"config: objective.name {name} needs rows with a teacher's own tokens; make them "
            "with `duomem examples --teacher`, or choose a divergence over the vocabulary"
        )


def _check_stored(config: TrainConfig, facts: dict[str, Any]) -> None:
    """Raise UserError unless the rows hold targets for the objective."""
    objective, targets = config.objective, facts["config"].get("targets")
    if objective.name in ON_CHUNKS:
        raise UserError(f"config: objective.name {objective.name} needs field teacher; set it")
    if targets is None:
        raise UserError(
            f"config: objective.name {objective.name} needs a teacher, and {config.data} holds no "
            "targets; set field teacher, or field data to what `duomem label` wrote"
        )
    if targets["temperature"] != objective.temperature:
        raise UserError(
            f"config: objective.temperature is {objective.temperature:g}, the targets of "
            f"{config.data} were stored at {targets['temperature']:g}; set it to that"
        )
    if targets["kind"] == "samples" and objective.name != "forward_kl":
        raise UserError(
            f"config: objective.name is {objective.name}, but {config.data} holds samples, which "
            "serve forward_kl only; label with --how.kind topk"
        )
    missing = facts["counts"].get("rows_missing_targets", 0)
    if missing:
        tokens = facts["counts"]["tokens_missing_targets"]
        print(f"{config.data}: {missing} rows lack {tokens} targets; left out", flush=True)


def load_teacher(config: TrainConfig, model: Model, folder: str, mesh: Mesh) -> Any:
    """Parameters of a teacher, in place on the mesh.

    Args:
        config: of the run.
        model: the teacher.
        folder: from `find_teacher`.
        mesh: current.
    """
    return load_pretrained(folder, config.dtype, model_shardings(model, mesh)["params"])[1]
