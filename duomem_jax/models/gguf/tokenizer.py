"""The tokenizer that a GGUF file describes, as a folder of transformers."""

from pathlib import Path

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.models.gguf.file import GgufFile

# What transformers' own reader of such files calls what stands in them.
_VOCABULARY = {
    "model": "tokenizer_type",
    "pre": "pre_tokenizer_type",
    "tokens": "tokens",
    "scores": "scores",
    "token_type": "token_type",
    "merges": "merges",
    "add_space_prefix": "add_prefix_space",
}
_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """Write tokenizer.json, its config and the chat template into a folder.

    transformers builds the tokenizer, as it does when it opens such a file.

    Raises:
        UserError: the file describes none that it knows.
    """
    # Imported here: transformers takes seconds to load.
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations.gguf import convert_gguf_tokenizer

    found = {theirs: file.get(f"tokenizer.ggml.{ours}") for ours, theirs in _VOCABULARY.items()}
    told = {name: value for name, value in found.items() if value is not None}
    try:
        backend, _ = convert_gguf_tokenizer(file.architecture, told)
        tokens = told["tokens"]
        special = {name: file.get(f"tokenizer.ggml.{id}_token_id") for name, id in _SPECIAL.items()}
        named = {name: tokens[i] for name, i in special.items() if i is not None}
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **named, **_begins(file))
    # What it does not know ends in any of these.
    except (AttributeError, LookupError, TypeError, ValueError) as e:
        raise UserError(
            f"{file.path}: no tokenizer comes of it ({first_line(e)}); take the model's Hugging "
            "Face folder instead"
        ) from None
    tokenizer.chat_template = file.get("tokenizer.chat_template")
    tokenizer.save_pretrained(folder)


def _begins(file: GgufFile) -> dict[str, bool]:
    """Whether a text begins with a token of its own."""
    # llama.cpp begins a text of SentencePiece with one where the file does not say.
    default = file.get("tokenizer.ggml.model") == "llama"
    return {"add_bos_token": file.get("tokenizer.ggml.add_bos_token", default)}
