"""Prompts are plain text files, so that they can be read, changed and told apart by their hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from duomem_jax.base.errors import UserError

PLAY = "@play"  # as a system message: the one that the world tells a model how to play with
NO_SYSTEM = "@/dev/null"  # and for none at all


@dataclass(frozen=True)
class Prompt:
    """Text with $placeholders (`string.Template`; a dollar sign is written `$$`)."""

    text: str

    @property
    def sha256(self) -> str:
        """Names the text in configurations."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, **values: str) -> str:
        """The text with a value in each place."""
        return Template(self.text).substitute(values)


def load_prompt(
    file: str, placeholders: tuple[str, ...] = (), ours: Mapping[str, Path] | None = None
) -> Prompt:
    """A prompt of the package by its name, or one's own by its path.

    Args:
        file: a name in `ours`, or the path of a UTF-8 text file.
        placeholders: names that must occur in it, and no others.
        ours: prompts that come with the package, by name.

    Raises:
        UserError: no such file, or other placeholders.
    """
    path = (ours or {}).get(file, Path(file))
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as e:
        raise UserError(f"prompt {path}: not readable as text ({e}); give a text file") from e
    template = Template(text)
    # Checked on loading: a placeholder that is missing would only show in what a model answers.
    found = sorted(template.get_identifiers()) if template.is_valid() else ["a lone $"]
    if found != sorted(placeholders):
        needed = ", ".join(f"${name}" for name in placeholders) or "no placeholder"
        raise UserError(
            f"prompt {path}: holds {', '.join(found) or 'no placeholder'} where {needed} is "
            "expected; write a dollar sign as $$"
        )
    return Prompt(text)


def system_text(system: str, play: str) -> str:
    """Content of a system message that was given as text, as `@play` or as `@FILE`.

    Args:
        system: the text; after an @ the path of a file (`@/dev/null` for none at all).
        play: what `@play` stands for: the prompt of the world.

    Raises:
        UserError: no such file.
    """
    if system == PLAY:
        return play
    # By its name, as not every system has such a file.
    if system == NO_SYSTEM:
        return ""
    # Only a file is a template, in which $$ is a dollar; text from the command line stays as it is.
    return load_prompt(system[1:]).fill() if system.startswith("@") else system
