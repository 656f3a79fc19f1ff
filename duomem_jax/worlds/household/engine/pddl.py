"""Read a PDDL problem of ALFWorld's domain into plain tuples.

Names are lower-cased and `;` comments dropped, as Fast Downward's reader does.
"""

import re
from dataclasses import dataclass

from duomem_jax.base.errors import UserError

Expression = list  # a nested list of words: ["and", ["ishot", "?o"], ...]

TYPES = ("agent", "location", "receptacle", "object", "rtype", "otype")
# How many ids each predicate of ALFWorld's domain takes.
ARITY = {
    **dict.fromkeys(
        (
            *("openable", "opened", "checked", "examined", "full", "isreceptacleobject"),
            *("isreceptacleobjectfull", "holdsany", "holdsanyreceptacleobject"),
            *("isclean", "cleanable", "ishot", "heatable", "iscool", "coolable", "pickupable"),
            *("moveable", "toggleable", "ison", "istoggled", "sliceable", "issliced"),
        ),
        1,
    ),
    **dict.fromkeys(
        (
            *("atlocation", "receptacleatlocation", "objectatlocation", "inreceptacle"),
            *("inreceptacleobject", "wasinreceptacle", "receptacletype", "cancontain"),
            *("objecttype", "holds", "="),
        ),
        2,
    ),
}

DEEPEST = 100  # levels of a goal; ALFWorld's have about 10

_COMMENT = re.compile(r";[^\n]*")
_FACT = re.compile(r"\(([^()]*)\)")
_TOKEN = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True)
class Problem:
    """A parsed problem; share it freely, nothing in it changes.

    Attributes:
        types: type name of every declared id, in file order.
        facts: argument tuples of each predicate true at the start.
        goal: the goal condition.
    """

    types: dict[str, str]
    facts: dict[str, tuple[tuple[str, ...], ...]]
    goal: Expression


def parse_problem(text: str, source: str = "PDDL problem") -> Problem:
    """Parse the text of a problem.

    Args:
        text: the `pddl_problem` field of a game.
        source: what to call it in an error.

    Raises:
        UserError: a section is missing, brackets do not match, or a fact names an id that
            `:objects` does not declare.
    """
    if ";" in text:  # seldom, and the search is far cheaper than the substitution
        text = _COMMENT.sub("", text)
    text = text.lower()
    starts = [text.find(f"(:{section}") for section in ("objects", "init", "goal")]
    for section, start in zip(("objects", "init", "goal"), starts, strict=True):
        if start < 0:
            raise UserError(
                f"{source}: pddl_problem has no (:{section} section; download or generate "
                "the game again"
            )
    if text.count("(") != text.count(")") or starts != sorted(starts):
        raise UserError(
            f"{source}: pddl_problem is cut short or its sections are out of order; download or "
            "generate the game again"
        )
    objects, init, goal = starts
    types = typed_list(text[objects + len("(:objects") : init].rstrip().rstrip(")").split())
    facts: dict[str, list[tuple[str, ...]]] = {}
    # Facts of :init are never nested, so a pattern finds them without counting brackets.
    for words in map(str.split, _FACT.findall(text, init, goal)):
        if words:
            facts.setdefault(words[0], []).append(tuple(words[1:]))
    # Without a type an id is in no quantifier's range: the goal would pass it over, silently.
    undeclared = {i for rows in facts.values() for row in rows for i in row} - types.keys()
    if undeclared:
        raise UserError(
            f"{source}: pddl_problem uses {min(undeclared)} in :init without declaring it in "
            ":objects; declare it"
        )
    for name, rows in facts.items():
        # A predicate that the domain lacks is left alone: nothing reads it.
        if any(len(row) != ARITY.get(name, len(row)) for row in rows):
            raise UserError(
                f"{source}: pddl_problem has a ({name} …) with the wrong number of ids in :init; "
                "correct it"
            )
    return Problem(
        types=types,
        # A fact stated twice is one fact.
        facts={name: tuple(dict.fromkeys(rows)) for name, rows in facts.items()},
        goal=_goal(text[goal:], source),
    )


def typed_list(words: list[str]) -> dict[str, str]:
    """`a b - t c - u` becomes `{a: t, b: t, c: u}`; without a type it is an `object`."""
    types: dict[str, str] = {}
    pending: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "-":
            kind = next(rest, "object")
            types.update(dict.fromkeys(pending, kind))
            pending = []
        else:
            pending.append(word)
    types.update(dict.fromkeys(pending, "object"))
    return types


def _goal(text: str, source: str) -> Expression:
    """The condition in `(:goal condition)`; whatever follows the section is ignored."""
    stack: list[Expression] = [[]]
    for token in _TOKEN.findall(text.replace("?", " ?")):
        if token == "(":
            stack.append([])
            if len(stack) > DEEPEST:
                raise UserError(
                    f"{source}: pddl_problem has a goal that is nested too deep; correct it"
                )
        elif token != ")":
            stack[-1].append(token)
        # The bracket that closes `(define` has no partner in this text.
        elif len(stack) > 1:
            done = stack.pop()
            stack[-1].append(done)
    section = stack[0][0] if stack[0] else []
    if len(section) != 2 or not isinstance(section[1], list) or not section[1]:
        raise UserError(
            f"{source}: pddl_problem has a (:goal section without exactly one condition; "
            "download or generate the game again"
        )
    return section[1]
