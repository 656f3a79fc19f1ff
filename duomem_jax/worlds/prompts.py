"""System messages, which tell a model the rules of a world."""

from pathlib import Path

from duomem_jax.base.prompts import load_prompt

PLAY = "play"
PROMPTS = {PLAY: Path(__file__).parent / "household" / "play.md"}


def system_text(system: str, default: str = "") -> str:
    """Content of a system message that was given as text or as `@FILE`.

    Args:
        system: the text; after an @ the name of a world's prompt, or the path of a file
            (`@/dev/null` for none at all).
        default: what "" stands for.

    Raises:
        UserError: no such file.
    """
    system = system or default
    return load_prompt(system[1:], (), PROMPTS).fill() if system.startswith("@") else system
