"""The tokenizer that a GGUF file describes, as a folder of transformers."""

from pathlib import Path

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.models.gguf.file import GgufFile


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """Write tokenizer.json, its config and the chat template into a folder.

    transformers builds the tokenizer.

    Raises:
        UserError: the file describes none that it knows.
    """
    # Imported here: transformers takes seconds to load.
    from transformers import AutoTokenizer

    # Through its front door: what is behind it has other names in 5.17 and in 5.24.
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.path.parent, gguf_file=file.path.name)
    # What it does not know ends in any of these.
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as e:
        raise UserError(
            f"{file.path}: no tokenizer comes of it ({first_line(e)}); take the model's Hugging "
            "Face folder instead"
        ) from None
    tokenizer.chat_template = file.get("tokenizer.chat_template")
    tokenizer.save_pretrained(folder)
