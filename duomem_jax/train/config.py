"""What a training run is: frozen dataclasses, an experiment file, typed overrides.

`configs/<name>.py` has `get_config() -> TrainConfig`; on the command line every field can be
replaced with `--field value`, nested ones with dots (`--lora.rank 32`).
"""

import contextlib
import dataclasses
import io
import types
import typing
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro
from annotated_types import Interval

from duomem_jax.agents.play import MAX_NEW, SHOWN, Play, Recall, Talk
from duomem_jax.base.config import from_file
from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import alternatives
from duomem_jax.base.ranges import (
    Amount,
    Below1,
    Count,
    Few,
    Length,
    Limit,
    Seed,
    Share,
    options,
)
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.quantize import Quantize
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.worlds.games import Games


@options
class OptimizerConfig:
    """Update rule and learning-rate schedule."""

    name: Literal["adamw", "muon"] = "adamw"  # muon: hidden matrices; adamw for the rest
    # At the peak; muon's updates have adamw's size (RMS 0.2).
    learning_rate: Annotated[float, Interval(gt=0, le=100)] = 1e-3
    schedule: Literal["cosine", "linear"] = "cosine"  # from the peak to 0 at the last step
    warmup_steps: Limit = 0
    weight_decay: Amount = 0.0  # on matrices only
    b2: Below1 = 0.99  # Adam's second-moment decay
    clip: Annotated[float, Interval(gt=0, le=10**12)] = 1.0  # largest global norm of the gradient


@options
class OnPolicyConfig:
    """Rows that the student plays itself while it learns, instead of stored ones."""

    # What is played; without a path the rows of `data` are read.
    games: Games = Games("")
    play: Annotated[Play, tyro.conf.arg(name="")] = Play(slots=16)  # `slots` games a step
    talk: Annotated[Talk, tyro.conf.arg(name="")] = Talk(max_new=MAX_NEW, temperature=1.0)
    # What the teacher sees and the student does not (OPCD).
    recall: Annotated[Recall, tyro.conf.arg(name="")] = Recall(k=SHOWN)
    length: Length = 1024  # tokens a row
    # TCOD, arXiv 2604.24005: the student plays the first turns of a game, or the last ones after
    # those of a won game are replayed; one turn more every `growth` steps.
    curriculum: Literal["", "forward", "backward"] = ""
    growth: Count = 2
    episodes: str = ""  # won games to replay, from `duomem play`; for the backward curriculum
    # Guided-OPD, arXiv 2606.15912: share of turns that the teacher takes at first, learnt as text;
    # it falls to 0, as a cosine, over the first 80 % of the steps.
    guidance: Share = 0.0
    teacher_length: Length = 2048  # tokens a row of its view, where it sees memories

    @property
    def active(self) -> bool:
        """Whether the student plays its rows itself."""
        # Derived from the path: a flag of its own could contradict it.
        return bool(self.games.path)

    def __post_init__(self) -> None:
        # The loss is an expectation over what the student would say; greedy replies do not sample
        # it.
        if self.talk.temperature <= 0:
            raise UserError(f"on_policy.temperature is {self.talk.temperature}; give more than 0")


@options
class TrainConfig:
    """One training run; the resolved form is written beside everything it makes."""

    base: str  # Hugging Face folder or hub id: weights and tokenizer
    data: str  # folder of packed examples; empty where the student plays (on_policy.games.path)
    output: str  # checkpoints, metrics and the exported result
    validation: str = ""  # held-out rows; the checkpoint with their least loss is exported
    pictures: str = ""  # that rows show, from `duomem pictures`
    # Checkpoints in a row without a smaller loss on those rows, after which training ends; 0: none.
    patience: Limit = 0
    trainable: Literal["lora", "all"] = "lora"
    adapter: str = ""  # PEFT folder to start from; empty: a fresh adapter
    lora: LoraConfig = field(default_factory=LoraConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    teacher: str = ""  # in the loop: folder or hub id; empty: targets come with the data
    on_policy: OnPolicyConfig = field(default_factory=OnPolicyConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    steps: Count = 1000
    global_batch: Few = 16  # packed rows a step, over all hosts
    seed: Seed = 0
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the compute; trained trees are float32
    quantize: Quantize = ""  # kernels of the frozen base (QLoRA)
    remat: bool = False  # recompute each layer in the backward pass; for large models
    checkpoint_every: Count = 200
    log_every: Count = 10
    writers: tuple[Literal["tensorboard", "wandb"], ...] = ()  # of metrics, beside metrics.jsonl
    profile: tuple[Count, ...] = ()  # first and last step to trace, into the output's `profile`

    def __post_init__(self) -> None:
        if self.patience and not self.validation:
            raise UserError(f"patience is {self.patience}; give validation rows, or omit it")
        # A tuple of any length, as () means off; that it is a pair is checked here.
        if self.profile and (len(self.profile) != 2 or self.profile[0] > self.profile[1]):
            raise UserError(f"profile is {self.profile}; give its first and its last step")


def load_config(path: str, overrides: Sequence[str] = (), command: str = "train.py") -> TrainConfig:
    """Read an experiment file and apply command-line overrides.

    Args:
        path: of the file.
        overrides: of its fields, such as `--lora.rank 8`.
        command: whose overrides they are, for `--help`.

    Raises:
        UserError: no such file, no `get_config`, an unknown field or a wrong type.
        SystemExit: after `--help`.
    """
    config = from_file(Path(path), "get_config", TrainConfig)
    return _override(config, overrides, f"{command} --config {path}")


def print_fields(command: str) -> None:
    """Print the help of a command that was given no config: every field, and its usual value.

    Raises:
        SystemExit: always.
    """
    _override(TrainConfig("", "", ""), ["--help"], f"{command} --config FILE")


def _override(config: TrainConfig, args: Sequence[str], prog: str) -> TrainConfig:
    try:
        return _parse(config, args, prog)
    except SystemExit as e:
        # tyro ends the process itself; code 0 is --help, which has printed its text.
        if not e.code:
            raise  # --help
    # The parser says only that something is wrong; one option alone says which.
    for option in _options(args):
        try:
            _parse(config, option, prog)
        except SystemExit:
            raise UserError(_complaint(config, option)) from None
    raise UserError(f"command line: cannot read {' '.join(args)!r}; see --help")


def _parse(config: TrainConfig, args: Sequence[str], prog: str) -> TrainConfig:
    # tyro prints a box of its own on a mistake; ours is one sentence. Only --help is let through.
    wanted_help = any(a in ("-h", "--help") for a in args)
    sink = contextlib.nullcontext() if wanted_help else contextlib.redirect_stderr(io.StringIO())
    with sink:
        return tyro.cli(
            tyro.conf.AvoidSubcommands[TrainConfig], default=config, args=list(args), prog=prog
        )


def _options(args: Sequence[str]) -> list[list[str]]:
    """Split ['--a', '1', '--b.c', '2'] at the option names."""
    out: list[list[str]] = []
    for arg in args:
        if arg.startswith("--") or not out:
            out.append([])
        out[-1].append(arg)
    return out


def _complaint(config: TrainConfig, option: list[str]) -> str:
    name, equals, value = option[0].partition("=")
    dotted = name.lstrip("-").replace("-", "_")
    # Walk down the dotted name, so that the sentence lists the fields of the right record.
    at = _Field(config, None)
    for part in dotted.split("."):
        options = _fields(at.value)
        if part not in options:
            known = ", ".join(options) if options else "none"
            return f"command line: no field {name}; choose from {known}"
        at = options[part]
    shown = " or ".join(map(_shown, alternatives(at.hint)))
    given = value if equals else " ".join(option[1:])
    if at.hint is bool:
        *above, last = name.lstrip("-").split(".")
        shown = f"it alone, or --{'.'.join([*above, f'no-{last}'])} for no"
    return f"command line: field {name} cannot be {given!r}; give {shown}"


def _shown(hint: object) -> str:
    """A type as a user reads it."""
    if hint is types.NoneType:
        return "None"
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


class _Field(NamedTuple):
    """What a field of a record holds, and what type it is declared to have."""

    value: object
    hint: object


def _fields(record: object) -> dict[str, _Field]:
    """Fields as the command line names them."""
    if not dataclasses.is_dataclass(record):
        return {}
    # These types are without `Annotated`, which is there for tyro and would blur the sentence.
    types = typing.get_type_hints(type(record))
    marked = typing.get_type_hints(type(record), include_extras=True)
    found: dict[str, _Field] = {}
    for name, hint in types.items():
        value, marks = getattr(record, name), getattr(marked[name], "__metadata__", ())
        # A record that is given an empty name has its fields in the place of its own.
        flat = any(getattr(mark, "name", None) == "" for mark in marks)
        found |= _fields(value) if flat else {name: _Field(value, hint)}
    return found
