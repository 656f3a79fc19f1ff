"""What a run is to do, decided once and before anything is loaded.

For training, `duomem compile-check` and experiments alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
from jax.sharding import Mesh

from duomem_jax.base.errors import UserError
from duomem_jax.data.facts import RowFacts
from duomem_jax.mesh.sharding import make_mesh
from duomem_jax.models.hf import decoder_naming, fingerprint, load_config
from duomem_jax.models.locate import model_path
from duomem_jax.models.model import Model
from duomem_jax.models.naming import Naming
from duomem_jax.objectives import (
    AlignedTargets,
    LiveTargets,
    StoredTargets,
    Targets,
    TextTargets,
)
from duomem_jax.text.tokenizer import check_ids, load_tokenizer, vocabulary_fingerprint
from duomem_jax.train.checks import (
    check_adapter,
    check_alike,
    check_fields,
    check_pictures,
    check_played,
    check_targets,
    check_vocabularies,
)
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.state.sizes import held_bytes


@dataclass(frozen=True)
class TeacherPlan:
    """A teacher in the loop.

    Attributes:
        folder: Hugging Face folder.
        model: its shape.
        shares_base: the student's frozen base serves for it too.
    """

    folder: str
    model: Model
    shares_base: bool


@dataclass(frozen=True)
class Plan:
    """A run that fits together.

    Attributes:
        config: as it was given.
        folder: of the base model.
        model: the student, with a LoraConfig when an adapter is trained.
        targets: what replies are compared with.
        teacher: in the loop, or None.
        rows: what is learnt from; None where the student plays its rows.
        validation: rows that choose the checkpoint, or None.
        mesh: the devices.
        held: bytes of weights, trained tree and optimizer, over all devices.
    """

    config: TrainConfig
    folder: str
    model: Model
    targets: Targets
    teacher: TeacherPlan | None
    rows: RowFacts | None
    validation: RowFacts | None
    mesh: Mesh
    held: int

    @property
    def base_id(self) -> str:
        """Fingerprint of the base model."""
        return fingerprint(self.folder)

    @property
    def naming(self) -> Naming:
        """What the decoder's tensors are called in the base model's files."""
        return decoder_naming(self.folder)

    @property
    def trained(self) -> str:
        """The collection that is trained: "lora", or "params" where all of them are."""
        return "lora" if self.model.lora is not None else "params"


def plan(config: TrainConfig) -> Plan:
    """Decide a run from its config and from what lies in the folders it names.

    Raises:
        UserError: something is missing, or does not go with something else.
    """
    # Cheap checks first: a model may be gigabytes to download, so fields and the manifests of rows
    # come before it.
    check_fields(config)
    check_adapter(config)
    rows = validation = None
    # A run that plays its own rows reads none, and has nothing to validate on.
    if not config.on_policy.active:
        rows = RowFacts.read(config.data)
        validation = RowFacts.read(config.validation) if config.validation else None
    folder = _found("base", config.base)
    teacher = _found("teacher", config.teacher) if config.teacher else ""
    model = student_model(config, folder)
    vocabulary = _vocabulary(folder, model)
    taught = _vocabulary(teacher, Model(load_config(teacher))) if teacher else ""
    for facts in filter(None, (rows, validation)):
        check_vocabularies(config, facts, vocabulary, taught)
        check_targets(config, facts)
    if rows is None:
        check_played(folder, vocabulary, taught)
    if rows is not None and validation is not None:
        check_alike(rows, validation)
    check_pictures(config, rows, folder)
    return _planned(config, folder, model, teacher, rows=rows, validation=validation)


def sketch(config: TrainConfig, devices: Sequence[jax.Device]) -> Plan:
    """The plan of a run on devices that need not be there, with rows that are not packed yet.

    Args:
        config: of `base` and `teacher` the config.json alone is read.
        devices: of the mesh.

    Raises:
        UserError: as `plan`, as far as can be told without rows and tokenizers.
    """
    if config.objective.on_chunks:
        raise UserError(
            "config: rows that are not packed yet are taken to be of one tokenizer, which "
            f"objective.name {config.objective.name} cannot use; take forward_kl for its memory"
        )
    check_fields(config)
    # Shapes are all that compiling needs; weights may be too large for this machine.
    files = ("config.json",)
    folder = model_path(config.base, files)
    teacher = model_path(config.teacher, files) if config.teacher else ""
    model = student_model(config, folder)
    return _planned(config, folder, model, teacher, devices=devices)


def student_model(config: TrainConfig, folder: str) -> Model:
    """The model to train, without its weights."""
    # No LoraConfig is how the rest of the room knows that all parameters are trained.
    lora = config.lora if config.trainable == "lora" else None
    return Model(load_config(folder, config.dtype), lora, config.remat)


def _planned(
    config: TrainConfig,
    folder: str,
    model: Model,
    teacher_folder: str,
    *,
    rows: RowFacts | None = None,
    validation: RowFacts | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Plan:
    teacher = None
    if teacher_folder:
        # A quantised base would be another teacher than the one that was named.
        frozen_as_it_is = config.trainable == "lora" and not config.quantize
        shape = Model(load_config(teacher_folder, config.dtype))
        teacher = TeacherPlan(teacher_folder, shape, teacher_folder == folder and frozen_as_it_is)
    # A shared base is on the devices once, and must not be counted twice: `held` decides `fsdp`.
    extra = teacher.model if teacher and not teacher.shares_base else None
    held = held_bytes(config, model, extra)
    mesh = make_mesh(config.mesh, config.global_batch, held, devices)
    targets = _targets(config)
    return Plan(config, folder, model, targets, teacher, rows, validation, mesh, held)


def _targets(config: TrainConfig) -> Targets:
    objective = config.objective
    if objective.name == "text":
        return TextTargets()
    # Before the teacher is asked for: on chunks its vocabulary differs from the student's.
    if objective.on_chunks:
        return AlignedTargets(objective)
    return LiveTargets(objective) if config.teacher else StoredTargets(objective)


def _vocabulary(folder: str, model: Model) -> str:
    """Fingerprint of a model's vocabulary, all of whose ids the model has."""
    tokenizer = load_tokenizer(folder)
    check_ids(folder, tokenizer, model.config.vocab_size)
    return vocabulary_fingerprint(tokenizer)


def _found(field: str, model: str) -> str:
    """The folder of a model that a field names; a hub id is downloaded."""
    try:
        return model_path(model)
    except UserError as e:
        raise UserError(f"config: field {field} is {e}") from None


def missing_targets(rows: RowFacts) -> str:
    """One sentence on reply tokens that were stored without a target; "" where none is."""
    count = rows.counts.get("rows_missing_targets", 0)
    if not count:
        return ""
    tokens = rows.counts["tokens_missing_targets"]
    return f"{rows.folder}: {count} rows lack {tokens} targets; these tokens are omitted"
