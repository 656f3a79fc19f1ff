"""Compile a PDDL goal into a function of the state.

Quantifiers run over the declared ids of a type (`object` means every id). An existential search
tests each condition as soon as its variables have values, and conditions that can never change
narrow the ids of their variable beforehand: a handful of tests instead of thousands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.pddl import ARITY, TYPES, Expression, Problem, typed_list

State = object  # whatever the fluents look into
Test = Callable[[State, Sequence[str]], bool]  # (state, values of the quantified variables)
Fluents = Mapping[str, Callable[..., bool]]  # predicate -> test(state, *ids)
Scope = dict[str, int]  # variable -> its place among the values


def compile_goal(problem: Problem, fluents: Fluents, source: str) -> Test:
    """Compile `problem.goal`.

    Args:
        problem: the parsed problem.
        fluents: how to test each predicate that actions change; all others are static.
        source: what to call the problem in an error.

    Returns:
        The test, to be called with (state, ()).

    Raises:
        UserError: a malformed condition, or a variable that nothing binds.
    """
    return _Compiler(problem, fluents, source).build(problem.goal, {})


class _Compiler:
    def __init__(self, problem: Problem, fluents: Fluents, source: str):
        self.types = problem.types
        self.fluents = fluents
        self.static = {
            name: frozenset(rows) for name, rows in problem.facts.items() if name not in fluents
        }
        self.source = source

    def build(self, node: Expression, scope: Scope) -> Test:
        match node:
            case ["and", *parts]:
                tests = [self.build(part, scope) for part in parts]
                return lambda s, v: all(test(s, v) for test in tests)
            case ["or", *parts]:
                tests = [self.build(part, scope) for part in parts]
                return lambda s, v: any(test(s, v) for test in tests)
            case ["not", part]:
                test = self.build(part, scope)
                return lambda s, v: not test(s, v)
            case ["imply", one, other]:
                # Rewritten into what the other cases and `_conjuncts` handle already.
                return self.build(["or", ["not", one], other], scope)
            case ["forall", [*variables], part]:
                # No counter-example: one kind of search serves both quantifiers.
                return self.build(["not", ["exists", variables, ["not", part]]], scope)
            case ["exists", [*variables], part]:
                return self._search(typed_list(variables), list(_conjuncts(part)), scope)
            case [str(name), *args] if all(isinstance(arg, str) for arg in args):
                return self._atom(name, args, scope)
        raise UserError(
            f"{self.source}: the goal has a malformed condition {node}; correct the pddl_problem"
        )

    def _search(self, variables: dict[str, str], parts: list[Expression], scope: Scope) -> Test:
        """A test whether some values of `variables` satisfy all `parts`."""
        # Merged, each condition is tested at the first level where all its variables have values.
        _absorb(variables, parts, scope)
        if not variables:
            return self.build(["and", *parts], scope)
        levels: list[tuple[list[str], list[Test]]] = []
        later = dict(variables)
        for name, kind in variables.items():
            del later[name]
            if kind not in TYPES:
                raise UserError(
                    f"{self.source}: the goal gives {name} the type {kind}; take one of "
                    f"{', '.join(TYPES)}"
                )
            # A variable's value is appended to those of the outer ones: its place is the next one.
            place = 1 + max(scope.values(), default=-1)
            outer = scope
            scope = {**scope, name: place}
            # Conditions of which no variable is still to come are tested here and not again deeper.
            ready = [part for part in parts if not _names(part) & later.keys()]
            parts = [part for part in parts if part not in ready]
            domain = [i for i, t in self.types.items() if kind in ("object", t)]
            tests: list[Test] = []
            for part in ready:
                test = self.build(part, scope)
                # A static condition on this variable alone is decided here and now: it narrows the
                # ids that are tried, and costs nothing when the goal is tested at each step.
                if part[0] in self.static and not _names(part) & (outer.keys() - {name}):
                    domain = [i for i in domain if test(None, [""] * place + [i])]
                else:
                    tests.append(test)
            levels.append((domain, tests))
        return _nest(levels)

    def _atom(self, name: str, args: list[str], scope: Scope) -> Test:
        if ARITY.get(name) != len(args):
            raise UserError(
                f"{self.source}: the goal uses ({name} {' '.join(args)}), which is no predicate of "
                "ALFWorld's domain with this number of ids; correct the pddl_problem"
            )
        for arg in args:
            if arg.startswith("?") and arg not in scope:
                raise UserError(
                    f"{self.source}: the goal uses {arg} outside of a quantifier; correct the "
                    "pddl_problem"
                )
        places = [scope.get(arg, arg) for arg in args]  # a constant stands for itself

        def row(v: Sequence[str]) -> tuple[str, ...]:
            return tuple([p if isinstance(p, str) else v[p] for p in places])

        if name == "=":
            return lambda s, v: len(set(row(v))) == 1
        if name in self.fluents:
            fluent = self.fluents[name]
            return lambda s, v: fluent(s, *row(v))
        # A predicate without a fact is false of everything.
        rows = self.static.get(name, frozenset())
        return lambda s, v: row(v) in rows


def _nest(levels: list[tuple[list[str], list[Test]]]) -> Test:
    """Loops inside loops: a value at each level that passes the tests there."""

    def search(depth: int, s: State, v: list[str]) -> bool:
        if depth == len(levels):
            return True
        domain, tests = levels[depth]
        for i in domain:
            values = [*v, i]
            for test in tests:
                if not test(s, values):
                    break
            else:
                if search(depth + 1, s, values):
                    return True
        return False

    # `v` holds the values of an outer search, which this one must not change.
    return lambda s, v: search(0, s, [*v])


def _conjuncts(node: Expression) -> Iterator[Expression]:
    """Conditions that together mean the same as `node`."""
    match node:
        case ["and", *parts]:
            for part in parts:
                yield from _conjuncts(part)
        case ["not", ["or", *parts]]:
            for part in parts:
                yield from _conjuncts(["not", part])
        case ["not", ["imply", one, other]]:
            yield from _conjuncts(one)
            yield from _conjuncts(["not", other])
        case ["not", ["not", part]]:
            yield from _conjuncts(part)
        case _:
            yield node


def _absorb(variables: dict[str, str], parts: list[Expression], scope: Scope) -> None:
    """Merge inner `exists` into this one, unless a name would come to mean two things."""
    for part in list(parts):
        match part:
            case ["exists", [*inner], body]:
                new = typed_list(inner)
                # A name bound twice means two things: such an inner search stays one of its own.
                if new.keys() & (variables.keys() | scope.keys()):
                    continue
                # Its conditions join these; the loop runs over a copy.
                parts.remove(part)
                variables.update(new)
                below = list(_conjuncts(body))
                _absorb(variables, below, scope)
                parts += below


def _names(node: Expression | str) -> set[str]:
    """The free variables of `node`."""
    if isinstance(node, str):
        return {node} if node.startswith("?") else set()
    return set().union(*map(_names, node)) - _bound(node)


def _bound(node: Expression) -> set[str]:
    """The variables that `node` itself quantifies."""
    match node:
        case ["exists" | "forall", [*variables], _]:
            return set(typed_list(variables))
    return set()
