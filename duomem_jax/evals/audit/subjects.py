"""The models under audit: which they are, and whether they can be audited together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.lora.peft import load_adapter
from duomem_jax.models.hf import decoder_naming, fingerprint, load_config
from duomem_jax.models.model import Model
from duomem_jax.text.tokenizer import chat_tokens, check_ids, load_tokenizer, tokenizer_fingerprint

BASE, TEACHER = "base", "teacher"


@dataclass(frozen=True)
class Subject:
    """A model under audit; students of one name differ in their training seed."""

    name: str
    seed: int
    model: str  # folder
    adapter: str = ""  # PEFT folder


def make_subjects(student: str, adapters: Sequence[tuple[str, str]], teacher: str) -> list[Subject]:
    """The base, then each adapter (seeds of a name counted from 0), then the teacher.

    Args:
        student: folder of the base model.
        adapters: (name, folder) pairs.
        teacher: folder; empty: none.

    Raises:
        UserError: a name that cannot be used.
    """
    subjects, seeds = [Subject(BASE, 0, student)], dict[str, int]()
    for name, folder in adapters:
        # The name becomes part of a file's name, and the report's rows go by it.
        if name in (BASE, TEACHER) or not re.fullmatch(r"\w[\w.-]*", name):
            raise UserError(
                f"adapter name {name!r}: give letters, digits and . _ -, other than {BASE} and "
                f"{TEACHER}"
            )
        seeds[name] = seeds.get(name, -1) + 1
        subjects.append(Subject(name, seeds[name], student, folder))
    return subjects + ([Subject(TEACHER, 0, teacher)] if teacher else [])


def shared_tokenizer(subjects: Sequence[Subject]) -> Any:
    """The tokenizer of all models, since windows are made of token ids.

    Raises:
        UserError: two models have different ones, or it has ids that one of them lacks.
    """
    first = subjects[0].model
    tokenizer = load_tokenizer(first)
    # Adapters share the base's tokenizer: only models are compared.
    framing = chat_tokens(tokenizer).framing
    for folder in {s.model for s in subjects}:
        check_ids(folder, tokenizer, load_config(folder).vocab_size, framing)
        if folder != first and tokenizer_fingerprint(
            load_tokenizer(folder)
        ) != tokenizer_fingerprint(tokenizer):
            raise UserError(
                f"{folder}: its tokenizer or chat template is not that of {first}, and windows "
                "are made of token ids; audit this model alone, as --student"
            )
    return tokenizer


def check_subject(subject: Subject, length: int) -> None:
    """Refuse a model that cannot read a window, or an adapter that does not fit its base.

    The adapter is read and dropped again: it is small, and an audit of many models that fails
    hours later at its last adapter would be worse.

    Args:
        subject: the model; of its base only the config and the fingerprint are read.
        length: tokens of a window.

    Raises:
        UserError: `length` is more than the model was made for, or the adapter is another base's.
    """
    config = load_config(subject.model)
    if length > config.max_len:
        raise UserError(
            f"prefix and suffix are {length} tokens together, {subject.model} was made for "
            f"{config.max_len}; lower them"
        )
    if subject.adapter:
        naming = decoder_naming(subject.model)
        load_adapter(subject.adapter, Model(config), fingerprint(subject.model), naming)
