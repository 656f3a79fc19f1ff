"""A policy applied to a store."""

from dataclasses import replace

from duomem_jax.memory.maintain.policies import Policy
from duomem_jax.memory.operations.records import Update
from duomem_jax.memory.store.change import Step
from duomem_jax.memory.store.entry import Applied, Origin
from duomem_jax.memory.store.store import Store


def maintain(store: Store, policy: Policy, at: str, who: str | None = None) -> list[Applied]:
    """Drop or merge memories, each owner's by themselves.

    Args:
        store: whose.
        policy: what proposes the changes; the history has its name.
        at: the time to go by, ISO 8601 in UTC.
        who: whose memories; None: everybody's.

    Returns:
        What became of each operation.
    """
    applied = []
    for owner in store.owners() if who is None else [who]:
        entries = {entry.id: entry for entry in store.entries(who=owner)}
        operations = policy(list(entries.values()), store.vectors(who=owner), at)
        origin = Origin(policy.__name__, owner, happened=at)
        steps = [
            # What is merged still tells of the time that it told of.
            Step(o, replace(origin, happened=entries[o.id].happened))
            if isinstance(o, Update)
            else Step(o, origin)
            for o in operations
        ]
        applied += store.apply_steps(steps)
    return applied
