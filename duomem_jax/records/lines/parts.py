"""Messages of words and pictures, in the spellings of transformers' chat templates and of OpenAI.

{"type": "text", "text": "..."}
{"type": "image", "path": "..."}                      or "url", or "image", in place of "path"
{"type": "image_url", "image_url": {"url": "..."}}
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from duomem_jax.base.errors import UserError
from duomem_jax.records.chat import Content, Part, Role, content_of, picture, text
from duomem_jax.records.store.manifest import file_sha256

PLACES = ("path", "url", "image")  # fields of a picture that may say where it is
URL = re.compile("[A-Za-z][A-Za-z0-9+.-]+:")  # not the letter of a drive
FORMS = '{"type": "text", "text": ...} or {"type": "image", "path": ...}'


def read_content(parts: Sequence[Any], role: Role, folder: Path, where: str) -> Content:
    """The content of a message from its parts; each picture's file is looked at.

    Args:
        parts: as JSON has them.
        role: who says it.
        folder: what paths are relative to.
        where: the line, for messages.

    Raises:
        UserError: another kind of part, a picture that nobody but a user may show, or no file.
    """
    content = content_of(
        _part(part, folder, f"{where}: content[{i}]") for i, part in enumerate(parts)
    )
    if role != "user" and not isinstance(content, str):
        raise UserError(
            f"{where}: the {role} shows a picture; only a user can, so correct the line"
        )
    return content


def _part(part: Any, folder: Path, where: str) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return text(part["text"])
    if kind == "image_url":
        place = part.get("image_url")
        place = place.get("url") if isinstance(place, dict) else place
    else:
        place = (
            next((part[name] for name in PLACES if name in part), None) if kind == "image" else None
        )
    if not isinstance(place, str) or not place:
        raise UserError(f"{where} is {str(part)[:80]}; give {FORMS}")
    return _picture(place, folder, where)


def picture_path(place: str, where: str) -> str:
    """The path that is meant by the place of a picture.

    Args:
        place: a path, or a URL of a file.
        where: the line and the field, for messages.

    Raises:
        UserError: another URL, since nothing is downloaded.
    """
    path = unquote(urlsplit(place).path) if place.startswith("file:") else place
    if URL.match(path):
        raise UserError(
            f"{where} shows {place[:60]}, which is no file; save the picture and give its path"
        )
    return path


def _picture(place: str, folder: Path, where: str) -> Part:
    path = picture_path(place, where)
    try:
        return picture(path, file_sha256(folder / path))
    except (OSError, ValueError) as e:  # ValueError: a null byte in the name
        reason = getattr(e, "strerror", None) or e
        raise UserError(
            f"{where} shows {path!r}, which cannot be read ({reason}); paths are relative to the "
            "folder of the lines"
        ) from None


def written_content(content: Content) -> str | list[dict[str, str]]:
    """The same as transformers' templates take it."""
    if isinstance(content, str):
        return content
    return [
        {"type": "text", "text": part["text"]}
        if part["type"] == "text"
        else {"type": "image", "path": part["path"]}
        for part in content
    ]
