"""What a run is made from: contents, however the paths to them are spelled."""

from collections.abc import Callable
from typing import Any

from duomem_jax.base.config import to_dict
from duomem_jax.base.prompts import system_text
from duomem_jax.lora.peft import adapter_fingerprint
from duomem_jax.memory.bank import bank_content
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.locate import model_path
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import EPISODES
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.worlds.games import identity_of


def _model(name: str) -> str:
    return fingerprint(model_path(name))


# Fields that name something which `inputs` looks into, and how.
_CONTENTS: dict[str, Callable[[str], str]] = {
    "base": _model,
    "teacher": _model,
    "data": content_hash,
    "validation": content_hash,
    "pictures": content_hash,
    "adapter": adapter_fingerprint,
}
_PLAYED = {
    "games": ("path", "split", "limit"),
    "talk": ("system",),
    "recall": ("memory",),
}


def inputs(config: TrainConfig) -> dict[str, Any]:
    """Hashes of whatever a run reads; JSON.

    Raises:
        UserError: something is missing or damaged.
    """
    named = {name: getattr(config, name) for name in _CONTENTS}
    found = {name: _CONTENTS[name](place) for name, place in named.items() if place}
    return found | (_played_inputs(config.on_policy) if config.on_policy.active else {})


def _played_inputs(c: OnPolicyConfig) -> dict[str, Any]:
    """What a run that plays its own rows reads besides."""
    found = {
        "games": identity_of(c.games.load()),
        "system": system_text(c.talk.system, c.games.open_world().prompt),
    }
    if c.recall.memory:
        found["memory"] = bank_content(c.recall.memory)
    if c.episodes:
        found["episodes"] = content_hash(c.episodes, EPISODES)
    return found


def without_names(config: TrainConfig) -> dict[str, Any]:
    """The config as JSON-able values, without the names of what `inputs` looks into."""
    kept = {name: value for name, value in to_dict(config).items() if name not in _CONTENTS}
    played = kept["on_policy"] = kept["on_policy"] | {"episodes": ""}
    for record, names in _PLAYED.items():
        played[record] = {n: x for n, x in played[record].items() if n not in names}
    return kept
