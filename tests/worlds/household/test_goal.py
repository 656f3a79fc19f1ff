"""Compiled goals against a naive evaluator that follows the definition word by word."""

import random

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.goal import compile_goal
from duomem_jax.worlds.household.engine.pddl import parse_problem, typed_list

FLUENTS = {
    "isclean": lambda state, o: ("isclean", o) in state,
    "inreceptacle": lambda state, o, r: ("inreceptacle", o, r) in state,
    "holds": lambda state, a, o: ("holds", a, o) in state,
}
PROBLEM = """(define (problem p) (:domain alfred)
(:objects me - agent a b c - object r s - receptacle T U - otype)
(:init (objectType a T) (objectType b T) (objectType c U) (openable r) (isClean a)
       (inReceptacle b r))  ; a comment
(:goal %s))"""
IDS = {"agent": ["me"], "receptacle": ["r", "s"], "otype": ["t", "u"]}
ATOMS = [("isclean", 1), ("inreceptacle", 2), ("holds", 2), ("objecttype", 2), ("openable", 1),
         ("=", 2)]  # fmt: skip


def naive(node, problem, state, env):
    head, *args = node
    if head == "and":
        return all(naive(a, problem, state, env) for a in args)
    if head == "or":
        return any(naive(a, problem, state, env) for a in args)
    if head == "not":
        return not naive(args[0], problem, state, env)
    if head == "imply":
        return (not naive(args[0], problem, state, env)) or naive(args[1], problem, state, env)
    if head in ("exists", "forall"):
        rows = [env]
        for name, kind in typed_list(args[0]).items():
            ids = [i for i, t in problem.types.items() if kind in ("object", t)]
            rows = [{**row, name: i} for row in rows for i in ids]
        results = [naive(args[1], problem, state, row) for row in rows]
        return any(results) if head == "exists" else all(results)
    row = tuple(env.get(a, a) for a in args)
    if head == "=":
        return row[0] == row[1]
    if head in FLUENTS:
        return (head, *row) in state
    return row in problem.facts.get(head, ())


def random_goal(rng, scope, depth):
    kind = rng.choice(["atom", "and", "or", "not", "imply", "exists", "forall", "exists", "forall"])
    if depth == 0 or kind == "atom":
        name, arity = rng.choice(ATOMS)
        return [name, *(rng.choice([*scope, "a", "r", "me", "t"]) for _ in range(arity))]
    if kind in ("and", "or"):
        return [kind, *(random_goal(rng, scope, depth - 1) for _ in range(rng.randrange(4)))]
    if kind == "not":
        return [kind, random_goal(rng, scope, depth - 1)]
    if kind == "imply":
        return [kind, random_goal(rng, scope, depth - 1), random_goal(rng, scope, depth - 1)]
    words = []
    names = rng.sample(["?x", "?y", "?z"], rng.randint(1, 2))  # may hide an outer one
    for name in names:
        words += [name, "-", rng.choice(["object", "receptacle", "agent"])]
    return [kind, words, random_goal(rng, [*scope, *names], depth - 1)]


def written(node):
    return node if isinstance(node, str) else "(" + " ".join(map(written, node)) + ")"


def test_compile_goal_equals_a_plain_evaluation():
    rng = random.Random(0)
    ids = ["a", "b", "c", "r", "s", "me"]
    held = 0
    for _ in range(600):
        problem = parse_problem(PROBLEM % written(random_goal(rng, ["c"], 4)))
        goal = compile_goal(problem, FLUENTS, "test")
        for _ in range(2):
            state = {("isclean", i) for i in ids if rng.random() < 0.4}
            state |= {
                (name, i, j)
                for name in ("inreceptacle", "holds")
                for i in ids
                for j in ids
                if rng.random() < 0.2
            }
            expected = naive(problem.goal, problem, state, {})
            assert goal(state, ()) is expected, problem.goal
            held += expected
    assert 200 < held < 1000  # neither trivial


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ("(isClean ?o)", "outside of a quantifier"),
        ("(exists (?o - thing) (isClean ?o))", "type thing"),
        ("(isclaen a)", "isclaen"),
        ("(isClean a b)", "isclean a b"),
        ("(and isClean a)", "malformed"),
        ("(exists (?o - object))", "malformed"),
        ("()", "exactly one condition"),
        ("(isClean a) (isClean b)", "exactly one condition"),
    ],
)
def test_compile_goal_names_a_malformed_condition(goal, message):
    with pytest.raises(UserError, match=message):
        compile_goal(parse_problem(PROBLEM % goal), FLUENTS, "test")
