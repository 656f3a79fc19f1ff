"""Parts of the JSON schemas that replies satisfy."""

from typing import Any


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """Of an object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def text_schema(longest: int) -> dict[str, Any]:
    """Of a text that is not empty.

    Args:
        longest: characters; a text without an end would use up the whole reply.
    """
    return {"type": "string", "minLength": 1, "maxLength": longest}
