"""What does not go together in a run: the only place that refuses.

Models, objective, rows and validation rows: whatever contradicts something else is a `UserError`
of one sentence, which each function here may raise.
"""

from dataclasses import replace

import jax

from duomem_jax.base.errors import UserError
from duomem_jax.data.facts import RowFacts, SeenFacts, ViewFacts
from duomem_jax.lora.peft_config import read_adapter_config
from duomem_jax.models.hf import fingerprint
from duomem_jax.objectives import ON_CHUNKS
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import PICTURES
from duomem_jax.train.config import TrainConfig


def check_fields(config: TrainConfig) -> None:
    """Refuse fields that contradict each other, whatever the folders hold."""
    name = config.objective.name
    if config.pictures:
        check_shown(config)
    # 4- or 8-bit kernels cannot take the small updates of a gradient step.
    if config.quantize and config.trainable == "all":
        raise UserError("config: quantize is for a frozen base; set trainable to lora")
    if config.on_policy.active:
        _check_play(config)
    elif name == "text" and config.teacher:
        raise UserError("config: objective.name is text, which needs no teacher; omit it")
    elif config.objective.on_chunks and not config.teacher:
        raise UserError(f"config: objective.name {name} needs field teacher; set it")


def check_shown(config: TrainConfig) -> None:
    """Refuse what does not work on rows with pictures.

    Raises:
        UserError: a field wants it.
    """
    # A teacher would need its own tower's features of them, and stored targets are of teachers.
    if config.objective.name != "text":
        raise UserError(
            f"config: objective.name is {config.objective.name}, and a teacher is not shown "
            "pictures; set it to text, or leave field pictures empty"
        )
    # Tower and projector stay as they are, so a decoder alone would be exported.
    if config.trainable == "all":
        raise UserError("config: pictures are for an expert; set trainable to lora")
    if config.on_policy.active:
        raise UserError("config: no game shows pictures; omit pictures or on_policy.games.path")


def _check_play(config: TrainConfig) -> None:
    name = config.objective.name
    # Text would teach the student its own words, won or lost: only a teacher adds something.
    if config.data or not config.teacher or name == "text":
        raise UserError(
            "config: with on_policy.games.path the student plays its own rows, and a teacher "
            "scores them; leave data empty, set teacher and an objective other than text"
        )
    # Alignment needs both tokenizations of a reply; what is played has the student's only.
    if config.objective.on_chunks:
        raise UserError(
            f"config: objective.name {name} needs stored rows; omit on_policy.games.path"
        )
    # A generator keeps its own form of the base and can exchange only the adapter.
    if config.trainable == "all":
        raise UserError("config: on_policy.games.path needs an adapter; set trainable to lora")
    if config.validation:
        raise UserError("config: validation needs stored rows; omit on_policy.games.path")
    # A generator needs all weights on its host, and its cache lies on one device.
    if jax.process_count() > 1:
        raise UserError("config: on_policy.games.path works on one host; start one process")
    if config.on_policy.curriculum == "backward" and not config.on_policy.episodes:
        raise UserError(
            "config: on_policy.curriculum backward replays won games; set on_policy.episodes"
        )


def check_adapter(config: TrainConfig) -> None:
    """Refuse to start from an adapter of another shape."""
    # Shapes and scale come from field lora, so it must say what the adapter was made with.
    if not config.adapter:
        return
    # How it was started is not in the file, and nothing is started here.
    found = replace(read_adapter_config(config.adapter), zero=config.lora.zero)
    if found != config.lora:
        raise UserError(
            f"{config.adapter}/adapter_config.json: not the adapter that field lora describes; set "
            f"it to {found}"
        )


def check_vocabularies(config: TrainConfig, rows: RowFacts, base: str, teacher: str) -> None:
    """Refuse rows whose ids are not those of the models that read them.

    Args:
        config: of the run.
        rows: of training or validation.
        base: fingerprint of the student's vocabulary.
        teacher: that of the teacher in the loop, "" for none.
    """
    # Fingerprints, not sizes: ids of two vocabularies of one size would train without an error.
    if rows.student.vocabulary != base:
        raise UserError(
            f"{rows.folder}: its tokens are of the vocabulary {rows.student.vocabulary[:12]}, "
            f"field base has {base[:12]}; pack the rows with the tokenizer of field base"
        )
    name = config.objective.name
    # Text reads the student's side only. Whatever else does not work on chunks compares ids, those
    # of stored targets too.
    if rows.aligned and name != "text" and not config.objective.on_chunks:
        raise UserError(
            f"config: {rows.folder} holds a teacher's tokens of another vocabulary, which "
            f"objective.name {name} cannot compare; choose from {', '.join(ON_CHUNKS)}"
        )
    if not teacher:
        return
    if config.objective.on_chunks and not rows.aligned:
        raise UserError(
            f"config: objective.name {name} needs rows with a teacher's own tokens; make them "
            "with `duomem examples --teacher`, or choose a divergence over the vocabulary"
        )
    if rows.taught.vocabulary != teacher:
        raise _other_vocabulary(rows.folder, rows.taught.vocabulary, teacher)


def check_played(folder: str, base: str, teacher: str) -> None:
    """Refuse a teacher that scores what a student with another vocabulary plays.

    Args:
        folder: of the student.
        base: fingerprint of its vocabulary.
        teacher: that of the teacher's.
    """
    # Of played rows there is no manifest to compare with: the teacher scores the student's own ids,
    # so the two models must agree themselves.
    if teacher != base:
        raise _other_vocabulary(folder, base, teacher)


def check_pictures(config: TrainConfig, rows: RowFacts | None, folder: str) -> None:
    """Refuse pictures that are not those of the rows, or not seen by the base."""
    seen = rows.pictures if rows else None
    if rows is None or (seen is None and not config.pictures):
        return
    if seen is None or not config.pictures:
        remedy = "give what `duomem pictures` wrote" if seen else "leave it empty"
        there = "pictures" if seen else "no pictures"
        raise UserError(
            f"config: field pictures is {config.pictures!r}, and the rows of {rows.folder} show "
            f"{there}; {remedy}"
        )
    # Rows know tiles by their numbers: in another dataset these would be other pictures.
    if content_hash(config.pictures, PICTURES) != seen.content:
        raise UserError(
            f"config: field pictures, {config.pictures}: are not the pictures that the rows of "
            f"{rows.folder} were packed with; give those"
        )
    if seen.model != fingerprint(folder):
        raise UserError(
            f"config: field pictures, {config.pictures}: were seen by the model {seen.model[:12]}, "
            f"and field base is {fingerprint(folder)[:12]}; run `duomem pictures` with this one"
        )


def _other_vocabulary(what: str, wanted: str, found: str) -> UserError:
    return UserError(
        f"config: {what} has the vocabulary {wanted[:12]}, field teacher {found[:12]}; give a "
        "teacher with the student's tokenizer"
    )


def check_targets(config: TrainConfig, rows: RowFacts) -> None:
    """Refuse rows whose stored targets do not serve the objective, where it reads them."""
    objective, targets = config.objective, rows.targets
    # Targets that rows happen to hold are not read then, see `Targets.needs`.
    if objective.name == "text" or config.teacher:
        return
    if targets is None:
        raise UserError(
            f"config: objective.name {objective.name} needs a teacher, and {rows.folder} holds no "
            "targets; set field teacher, or give what `duomem label` wrote"
        )
    # Stored log-probabilities are those of the softened distribution. Of k candidates and a rest no
    # other temperature can be computed.
    if targets.temperature != objective.temperature:
        raise UserError(
            f"config: objective.temperature is {objective.temperature:g}, the targets of "
            f"{rows.folder} were stored at {targets.temperature:g}; set it to that"
        )
    # Samples estimate the teacher's cross-entropy, which is the forward KL up to a constant.
    if targets.kind == "samples" and objective.name != "forward_kl":
        raise UserError(
            f"config: objective.name is {objective.name}, but {rows.folder} holds samples, which "
            "serve forward_kl only; label with --how.kind topk"
        )


def check_alike(rows: RowFacts, validation: RowFacts) -> None:
    """Refuse validation rows whose loss would be another one than that of training.

    It would choose the checkpoint all the same, and nobody would notice.
    """
    # Vocabularies are checked one folder at a time; this is what the two must share.
    for what, mine, theirs in (
        ("targets", rows.targets, validation.targets),
        ("a teacher's own view", _view(rows.teacher), _view(validation.teacher)),
        ("pictures", _shown(rows.pictures), _shown(validation.pictures)),
    ):
        if mine != theirs:
            raise UserError(
                f"config: field validation, {validation.folder}: differs from {rows.folder} in "
                f"{what} ({theirs}, not {mine}); write both with the same options"
            )


def _view(view: ViewFacts | None) -> str | None:
    """What has to agree between two teachers' views: the tokens; rows may differ in length."""
    return None if view is None else view.vocabulary


def _shown(seen: SeenFacts | None) -> str | None:
    """What has to agree between the pictures of two folders; their rows may have other room."""
    return None if seen is None else seen.content
