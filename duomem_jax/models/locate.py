"""Where a model is: in the package, in a folder, or on the Hugging Face hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.models.gguf import SUFFIX, unpacked
from duomem_jax.models.packaged import PACKAGES, packaged_file
from duomem_jax.models.shipped import NAMES, model_folder
from duomem_jax.records.there import instead

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt")  # nothing that could be executed


def model_path(model: str, files: Sequence[str] = FILES) -> str:
    """The folder of a model: config.json, weights and tokenizer.

    Args:
        model: a name in `NAMES`, which ships with the package, or in `PACKAGES`; a folder; a .gguf
            file, which is unpacked once; or a hub id such as `Qwen/Qwen3-4B`, which is downloaded
            once. With HF_HUB_OFFLINE=1 only what is there already counts.
        files: what is downloaded, as patterns.

    Raises:
        UserError: none of these.
    """
    if model in NAMES:
        return str(model_folder(model))
    # Before the hub: `owner/name` may be a folder too, and needs no network then.
    if Path(model).is_dir():
        return model
    if model in PACKAGES:
        return str(unpacked(packaged_file(model)))
    if model.endswith(SUFFIX) and Path(model).is_file():
        return str(unpacked(Path(model)))
    if Path(model).exists():
        raise UserError(f"{model}: no model; {instead(model, 'a Hugging Face folder')}")
    if not HUB_ID.fullmatch(model):
        raise UserError(
            f"{model}: no such folder; give a Hugging Face folder, a .gguf file, a hub id such as "
            f"Qwen/Qwen3-4B, or one of {', '.join((*NAMES, *PACKAGES))}"
        )
    return _downloaded(model, files)


def _downloaded(model: str, files: Sequence[str]) -> str:
    import httpx
    from huggingface_hub import constants, get_token, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from duomem_jax.base.network import check_connections, check_key

    if not constants.HF_HUB_OFFLINE:
        check_connections()
        check_key("HF_TOKEN", get_token() or "")
    try:
        return snapshot_download(model, allow_patterns=list(files))
    # The hub's client lets errors of the network through as they are, from httpx.
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        httpx.HTTPError,
        httpx.InvalidURL,
    ) as e:
        raise UserError(
            f"{model}: no such folder, and the Hugging Face hub does not give it "
            f"({first_line(e)}); check the name, the network, and `hf auth login` for gated models"
        ) from None
    except OSError as e:
        where = e.filename or constants.HF_HUB_CACHE
        raise UserError(
            f"{where}: the hub's cache cannot be used ({first_line(e)}); name a folder with space "
            "for it in HF_HOME"
        ) from None


def public_name(model: str) -> str:
    """A name under which others find a model: its hub id, also where its folder was given.

    A folder of one's own keeps its path, which nobody else has.
    """
    name = model_name(model) if Path(model).is_dir() else model
    return name if HUB_ID.fullmatch(name) else model


def model_name(folder: str) -> str:
    """What people call a model: the hub id of a downloaded one, else its folder's name."""
    path = Path(folder).resolve()
    cache = path.parent.parent.name  # <cache>/models--OWNER--NAME/snapshots/<commit>
    if path.parent.name == "snapshots" and cache.startswith("models--"):
        return cache.removeprefix("models--").replace("--", "/")
    return path.name
