"""Who guesses tokens ahead of a model, by the name that a user gives."""

from dataclasses import dataclass
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.decode.draft import Draft
from duomem_jax.decode.lookup import LookUp
from duomem_jax.decode.small import SmallModel
from duomem_jax.lora.open import Opened, open_model
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import load_config
from duomem_jax.models.locate import model_name, model_path
from duomem_jax.speak.room import weight_bytes
from duomem_jax.text.tokenizer import (
    chat_tokens,
    check_ids,
    load_tokenizer,
    vocabulary_fingerprint,
)

LOOKUP, BASE = "lookup", "base"


@dataclass(frozen=True)
class Second:
    """A model that is in memory beside another one, for which it guesses.

    Attributes:
        folder: its Hugging Face folder.
        config: its shape.
        weights: bytes that it takes; 0 where the two share them.
    """

    folder: str
    config: ModelConfig
    weights: int

    @classmethod
    def of(cls, draft: str, folder: str, dtype: str) -> "Second | None":
        """The model that a draft asks for, which is not loaded yet; None: it asks for none.

        Args:
            draft: as in `open_draft`.
            folder: of the model that is guessed for.
            dtype: of weights and activations.

        Raises:
            UserError: there is no such model.
        """
        if draft == LOOKUP:
            return None
        if draft == BASE:
            return cls(folder, load_config(folder, dtype), 0)
        config = load_config(own := model_path(draft), dtype)
        return cls(own, config, weight_bytes(config))


def open_draft(
    draft: str, count: int, opened: Opened, tokenizer: Any, *, dtype: str, max_len: int
) -> Draft:
    """What a `Generator` is to guess with.

    Args:
        draft: "lookup"; "base", the model without its adapter; or folder, hub id or shipped model.
        count: tokens guessed at a time.
        opened: the model that is guessed for.
        tokenizer: its own.
        dtype: of the guessing model's weights and activations.
        max_len: tokens a conversation may have.

    Raises:
        UserError: there is no such model, or it does not fit the other one.
    """
    second = Second.of(draft, opened.folder, dtype)
    if second is None:
        return LookUp(count)
    if draft == BASE:
        if opened.lora is None:
            raise UserError(
                f"draft {BASE}: without an adapter the model would guess for itself; give adapter, "
                f"or draft {LOOKUP}"
            )
        return SmallModel(opened.model.with_lora(None), opened.base, count)
    name, own = model_name(second.folder), load_tokenizer(second.folder)
    if vocabulary_fingerprint(own) != vocabulary_fingerprint(tokenizer):
        raise UserError(
            f"draft {draft}: its tokenizer is not that of {model_name(opened.folder)}; give a "
            f"model of the same family, or draft {LOOKUP}"
        )
    check_ids(name, own, second.config.vocab_size, chat_tokens(tokenizer).framing)
    if max_len > second.config.max_len:
        raise UserError(
            f"draft {draft}: it was made for {second.config.max_len:,} tokens, and a conversation "
            f"may have {max_len:,}; lower max_len"
        )
    loaded = open_model(second.folder, dtype=dtype, decoding=True)
    return SmallModel(loaded.model, loaded.base, count)
