"""The terms of a text, which a full-text index finds it by."""

import re


def terms(text: str) -> list[str]:
    """Terms in the order of the text; equal texts up to case have equal ones."""
    return re.findall(r"\w+", text.casefold())
