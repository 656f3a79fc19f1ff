"""Checkpoints of the small state: {step, lora or params, opt_state, rng}, never the base."""

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from duomem_jax.errors import UserError
from duomem_jax.train.disk import explain_full_disk
from duomem_jax.train.state import TrainState

KEEP = 2
logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates every save


class Checkpoints:
    """The checkpoints of one run, numbered by updates done; each appears whole or not at all."""

    def __init__(self, folder: Path, name: str, every: int, metadata: dict[str, Any]):
        """Open `folder`.

        Args:
            folder: created when absent.
            name: what the trained tree is called in the checkpoint: "lora" or "params".
            every: save after each this many steps, and before a preemption.
            metadata: written with each checkpoint; `base_fingerprint` is checked on restore.
        """
        training = ocp.training
        decisions = training.save_decision_policies
        self._folder, self._name, self._metadata = folder, name, metadata
        with explain_full_disk(folder):
            self._checkpointer = training.Checkpointer(
                folder.absolute(),
                save_decision_policy=decisions.AnySavePolicy(
                    [
                        decisions.FixedIntervalPolicy(every),
                        decisions.PreemptionCheckpointingPolicy(),
                    ]
                ),
                preservation_policy=training.preservation_policies.LatestN(KEEP),
                cleanup_tmp_directories=True,  # what a killed run left half-written
            )
        self._pending: Any = None

    def save(self, step: int, state: TrainState, *, force: bool = False) -> None:
        """Save in the background if it is time, or in any case with `force`."""
        if any(c.step == step for c in self._checkpointer.checkpoints):
            return
        with explain_full_disk(self._folder):
            if force or self._checkpointer.should_save(step):
                self.wait()  # an error of the save before belongs here, not at the end
                self._pending = self._checkpointer.save_checkpointables_async(
                    step,
                    {"state": self._pack(state)},
                    force=force,
                    custom_metadata=self._metadata,
                )

    def wait(self) -> None:
        """Block until the last save is on disk."""
        with explain_full_disk(self._folder):
            if self._pending is not None:
                self._pending.result()
            self._pending = None

    def restore(self, like: TrainState, shardings: TrainState) -> TrainState | None:
        """The latest state placed by `shardings`, or None when there is no checkpoint yet.

        Args:
            like: a state (or its shapes) of the same structure.
            shardings: where each leaf goes; may differ from the mesh that saved it.

        Raises:
            UserError: it was trained on another base.
        """
        if self._checkpointer.latest is None:
            return None
        saved = self._checkpointer.metadata().custom_metadata or {}
        if saved.get("base_fingerprint") != self._metadata["base_fingerprint"]:
            raise UserError(
                f"{self._folder}: was trained on another base ({saved.get('base')}) than field "
                f"base = {self._metadata['base']}; choose another output folder"
            )
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), like, shardings
        )
        loaded = self._checkpointer.load_checkpointables(None, {"state": self._pack(abstract)})
        leaves = loaded["state"]
        opt_state = jax.tree.unflatten(
            jax.tree.structure(like.opt_state),
            [leaves["opt_state"][key] for key in _flat(like.opt_state)],
        )
        return TrainState(leaves["step"], leaves[self._name], opt_state, leaves["rng"])

    def close(self, *, failed: bool = False) -> None:
        """Finish pending work; after a failure also remove what was half-written."""
        with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
            self.wait()
        with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
            self._checkpointer.close()
        if failed:
            for part in self._folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(part, ignore_errors=True)

    def _pack(self, state: TrainState) -> dict[str, Any]:
        return {
            "step": state.step,
            self._name: state.params,
            "opt_state": _flat(state.opt_state),
            "rng": state.rng,
        }


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by path: independent of the optimizer library's container classes."""
    return {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(tree)}
