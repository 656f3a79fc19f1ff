"""Which files of a folder are a model's weights; transformers' order decides."""

import logging
import os
from pathlib import Path, PurePath

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import read_json
from duomem_jax.records.there import instead

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
AGAIN = "download the model again"

logger = logging.getLogger(__name__)


def weight_files(folder: str | os.PathLike) -> list[Path]:
    """The .safetensors files that hold a model, by name.

    As transformers reads them: model.safetensors alone where it is there, else the files that
    model.safetensors.index.json names. What lies beside those, such as shards of an older download,
    averages or an adapter, is not looked at. Without either it is every file of the kind.

    Raises:
        UserError: there is none, or the index is damaged or names a file that is not there.
    """
    folder = Path(folder)
    index, every = folder / INDEX, sorted(folder.glob("*.safetensors"))
    if (folder / WHOLE).exists():
        files = [folder / WHOLE]
    elif index.exists():
        files = _indexed(index)
    elif every:
        files = every
    else:
        wanted = "a folder with a model's weights"
        raise UserError(f"{folder}: no .safetensors file; {instead(folder, wanted)}")
    if ignored := sorted(set(every) - set(files)):
        logger.info("%s: %s not read, as it is no part of the model", folder, ignored[0].name)
    return files


def _indexed(index: Path) -> list[Path]:
    """The files that an index names."""
    names = read_json(index, missing=AGAIN, damaged=AGAIN).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise UserError(f"{index}: field weight_map names no files; {AGAIN}")
    for tensor, name in names.items():
        # Nothing outside the folder is read, whatever its files say.
        if not isinstance(name, str) or not _is_inside(name):
            raise UserError(
                f"{index}: field weight_map.{tensor} is {name!r}, not the name of a .safetensors "
                f"file of the folder; {AGAIN}"
            )
    files = [index.parent / name for name in sorted(set(names.values()))]
    for file in files:
        if not file.is_file():
            raise UserError(f"{index}: names {file.name}, which is not there; {AGAIN}")
    return files


def _is_inside(name: str) -> bool:
    path = PurePath(name)
    return path.suffix == ".safetensors" and not path.is_absolute() and ".." not in path.parts
