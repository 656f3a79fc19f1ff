"""JSON out of replies of models that cannot be constrained: read strictly, repaired, or refused.

What is read has to satisfy the schema as it is. A value of another form is rejected with the reason
and never guessed at: a wrong fact is worse than none.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from duomem_jax.base.errors import UserError
from duomem_jax.speak.protocol import Reply

LONGEST = 16_384  # letters of a text that is repaired

_THOUGHT = r"think|thinking|thought|thoughts|reasoning"
_REASONING = re.compile(
    rf"\s*(?:<(?P<tag>{_THOUGHT})>.*?</(?P=tag)>|\|startthink\|.*?\|endthink\|)", re.I | re.S
)
_UNCLOSED = re.compile(rf"\s*(?:<(?:{_THOUGHT})>|\|startthink\|)", re.I)
_CLOSING = re.compile(rf"</(?:{_THOUGHT})>|\|endthink\|", re.I)
_FENCE = re.compile(r"\s*```[\w-]*[ \t]*\n(?P<inside>.*?)\n?[ \t]*```\s*", re.S)
_OPENING = re.compile(r"[{\[]")


@dataclass(frozen=True)
class Parsed:
    """What a reply holds.

    Attributes:
        value: satisfies the schema; None where the reply was rejected.
        how: "strict": JSON and nothing else but reasoning or a code fence around it; "repaired":
            there was text around it, or a library made JSON of it; "rejected": no such value.
        why: in words, unless it was strict.
    """

    value: Any
    how: Literal["strict", "repaired", "rejected"]
    why: str = ""


class _UnfitError(ValueError):
    """A text is not JSON, or not of the form; says why."""


def parse(reply: Reply, schema: Mapping[str, Any]) -> Parsed:
    """The JSON value of a reply.

    Args:
        reply: of any speaker. One that was cut is never repaired: what it lacks is not known.
        schema: that the value has to satisfy.

    Raises:
        UserError: the schema is none.
    """
    text = _without_reasoning(reply.text)
    if not text:
        said = "holds nothing but reasoning" if reply.text.strip() else "is empty"
        return Parsed(None, "rejected", f"the reply {said}")
    if fenced := _FENCE.fullmatch(text):
        text = fenced["inside"].strip()
    try:
        return Parsed(_fitting(_strict(text), schema), "strict")
    except json.JSONDecodeError:
        pass  # not JSON as it stands
    except _UnfitError as e:
        return Parsed(None, "rejected", str(e))
    if (found := _OPENING.search(text)) is None:
        return Parsed(None, "rejected", f"no JSON in {_shown(text)}")
    try:
        value, why = _repaired(text[found.start() :], cut=reply.cut)
        return Parsed(_fitting(value, schema), "repaired", why)
    except _UnfitError as e:
        return Parsed(None, "rejected", str(e))


def _without_reasoning(text: str) -> str:
    """What comes after reasoning, which stands before a reply or is all of it."""
    text = text.strip()
    while found := _REASONING.match(text):
        text = text[found.end() :].strip()
    # Cut off while it was still reasoning.
    if _UNCLOSED.match(text):
        return ""
    # Templates that open the reasoning themselves leave its end alone in the reply. Not within
    # JSON: there it is text that somebody said.
    opening, closing = _OPENING.search(text), _CLOSING.search(text)
    if closing and (opening is None or closing.start() < opening.start()):
        return text[closing.end() :].strip()
    return text


def _strict(text: str) -> Any:
    """JSON by its standard, each key once.

    Raises:
        JSONDecodeError: it is none.
        _UnfitError: it is, but no program agrees with another on what it says.
    """
    return _guarded(_DECODER.decode, text)


def _guarded(read: Any, text: str) -> Any:
    try:
        return read(text)
    except (json.JSONDecodeError, _UnfitError):
        raise
    except RecursionError:
        raise _UnfitError("the JSON is nested too deep") from None
    except ValueError as e:  # a number of thousands of digits
        raise _UnfitError(f"the JSON cannot be read ({e})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _UnfitError(f"the key {_shown(twice)} is there twice")
    return made


def _no_number(name: str) -> NoReturn:
    raise _UnfitError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def _repaired(text: str, *, cut: bool) -> tuple[Any, str]:
    """(value, what was done) of text that begins with a bracket.

    Raises:
        _UnfitError: it has no value.
    """
    try:
        value, _ = _guarded(_DECODER.raw_decode, text)
        return value, "text around the JSON was dropped"
    except json.JSONDecodeError as e:
        broken = f"{e.msg} at {_shown(text[e.pos :] or 'the end')}"
    if cut:
        raise _UnfitError(f"the reply ran out of tokens ({broken})")
    # Its time grows with the square of the length: some seconds here, minutes beyond.
    if len(text) > LONGEST:
        raise _UnfitError(f"the JSON is too long to be repaired ({broken})")
    import json_repair

    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError) as e:
        raise _UnfitError(f"the JSON cannot be repaired ({type(e).__name__}: {broken})") from None
    if not isinstance(value, dict | list) or not value:
        raise _UnfitError(f"the JSON cannot be repaired ({broken})")
    # The library leaves the two halves of a letter such as an emoji apart.
    return json.loads(json.dumps(value)), f"the JSON was repaired ({broken})"


def _fitting(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value.

    Raises:
        _UnfitError: it does not satisfy the schema, is the schema itself, or no file can hold it.
    """
    # Small models repeat what they were shown instead of filling it in.
    if value == schema or (isinstance(value, dict) and _is_schema(value, schema)):
        raise _UnfitError("the reply is the schema, not a value of it")
    from jsonschema.exceptions import best_match

    error = best_match(_validator(json.dumps(schema)).iter_errors(value))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "the value"
        raise _UnfitError(f"{place}: {_shown(error.message, quoted=False)}")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # halves of characters, among others
        raise _UnfitError("the JSON holds what no text can hold") from None
    return value


def _is_schema(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    own = schema.get("properties", {})
    return any(name in value and name not in own for name in ("$defs", "$schema", "properties"))


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as e:
        raise UserError(f"schema: {_shown(e.message, quoted=False)}; change it") from None
    return Draft202012Validator(json.loads(schema))


def _shown(text: str, *, quoted: bool = True) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= 120 else f"{line[:117]}..."
    return repr(line) if quoted else line
