"""Compile a PDDL goal into a function of the state.

Quantifiers run over the declared ids of a type (`object` means every id). Before running, each
existential variable is narrowed to the ids that satisfy the static atoms about it alone, which
turns a search over thousands of pairs into one over a handful.
"""

from collections.abc import Callable, Iterator, Mapping

from duomem_jax.envs.pddl import Expression, Problem
from duomem_jax.errors import UserError

State = object  # whatever the fluent tests look into
Test = Callable[[State, list[str]], bool]  # (state, values of the quantified variables)
Fluents = Mapping[str, Callable[..., bool]]  # predicate -> test(state, *ids)


def compile_goal(problem: Problem, fluents: Fluents, source: str) -> tuple[Test, frozenset[str]]:
    """Compile `problem.goal`.

    Args:
        problem: the parsed problem.
        fluents: how to test each predicate that actions change; all others are static.
        source: what to call the problem in an error.

    Returns:
        The test, to be called with (state, []), and the fluents it looks at.

    Raises:
        UserError: a malformed condition, or a variable that nothing binds.
    """
    compiler = _Compiler(problem, fluents, source)
    return compiler.build(problem.goal, {}, 0), frozenset(compiler.seen)


class _Compiler:
    def __init__(self, problem: Problem, fluents: Fluents, source: str):
        self.problem = problem
        self.fluents = fluents
        self.source = source
        self.static = {name: frozenset(rows) for name, rows in problem.facts.items()}
        self.seen: set[str] = set()

    def build(self, node: Expression, scope: dict[str, int], depth: int) -> Test:
        """Test for `node`; `scope` maps variables to their place in the list of values."""
        if not isinstance(node, list) or not node or not isinstance(node[0], str):
            raise self._malformed(node)
        head, args = node[0], node[1:]
        if head in ("and", "or"):
            parts = [self.build(part, scope, depth) for part in args]
            if head == "and":
                return lambda s, v: all(part(s, v) for part in parts)
            return lambda s, v: any(part(s, v) for part in parts)
        if head == "not" and len(args) == 1:
            inner = self.build(args[0], scope, depth)
            return lambda s, v: not inner(s, v)
        if head == "imply" and len(args) == 2:
            return self.build(["or", ["not", args[0]], args[1]], scope, depth)
        if head in ("exists", "forall") and len(args) == 2 and isinstance(args[0], list):
            return self._quantified(head, list(_typed(args[0])), args[1], scope, depth)
        if any(isinstance(arg, list) for arg in args) or head in ("not", "imply"):
            raise self._malformed(node)
        return self._atom(head, args, scope)

    def _quantified(self, head, variables, body, scope, depth) -> Test:
        if not variables:
            return self.build(body, scope, depth)
        (name, kind), *rest = variables
        types = self.problem.types
        domain = [i for i, t in types.items() if kind in ("object", t)]
        if head == "exists" and all(name != other for other, _ in rest):
            domain = [i for i in domain if self._possible(name, i, body)]
        inner = self._quantified(head, rest, body, {**scope, name: depth}, depth + 1)
        found = head == "exists"

        def test(s: State, v: list[str]) -> bool:
            for i in domain:
                if inner(s, [*v, i]) is found:
                    return found
            return not found

        return test

    def _possible(self, name: str, value: str, body: Expression) -> bool:
        """Whether the static atoms that `body` needs of `name` alone allow `value`."""
        for atom in _needed(body, name):
            if atom[0] in self.fluents or atom[0] == "=" or name not in atom[1:]:
                continue
            if any(arg.startswith("?") and arg != name for arg in atom[1:]):
                continue
            row = tuple(value if arg == name else arg for arg in atom[1:])
            if row not in self.static.get(atom[0], ()):
                return False
        return True

    def _atom(self, head: str, args: list[str], scope: dict[str, int]) -> Test:
        for arg in args:
            if arg.startswith("?") and arg not in scope:
                raise UserError(
                    f"{self.source}: the goal uses {arg} outside of a quantifier; correct the "
                    "pddl_problem"
                )
        # A constant reads from its own closure, a variable from the list of values.
        places = [scope.get(arg, arg) for arg in args]

        def row(v: list[str]) -> tuple[str, ...]:
            return tuple([p if isinstance(p, str) else v[p] for p in places])

        if head == "=":
            return lambda s, v: len(set(row(v))) <= 1
        if head in self.fluents:
            self.seen.add(head)
            fluent = self.fluents[head]
            return lambda s, v: fluent(s, *row(v))
        rows = self.static.get(head, frozenset())
        return lambda s, v: row(v) in rows

    def _malformed(self, node: Expression) -> UserError:
        return UserError(
            f"{self.source}: the goal has a malformed condition {node}; correct the pddl_problem"
        )


def _typed(words: list[str]) -> Iterator[tuple[str, str]]:
    """Variables with their types, in order: `?a ?b - t` gives (?a, t), (?b, t)."""
    pending: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "-":
            kind = next(rest, "object")
            yield from ((name, kind) for name in pending)
            pending = []
        else:
            pending.append(word)
    yield from ((name, "object") for name in pending)


def _needed(body: Expression, name: str) -> Iterator[Expression]:
    """Atoms that must hold for `body` to hold, as long as `name` keeps its meaning."""
    if not isinstance(body, list) or not body:
        return
    if body[0] == "and":
        for part in body[1:]:
            yield from _needed(part, name)
    elif body[0] == "exists" and len(body) == 3:
        if all(variable != name for variable, _ in _typed(body[1])):
            yield from _needed(body[2], name)
    elif all(isinstance(word, str) for word in body):
        yield body
