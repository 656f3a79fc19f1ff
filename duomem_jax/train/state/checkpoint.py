"""Checkpoints of the small state: {step, lora or params, opt_state, rng}, never the base."""

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
from etils import epath
from orbax.checkpoint import v1 as ocp

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.io import is_remote
from duomem_jax.mesh.hosts import agree, is_first
from duomem_jax.train.state.checksum import checksum
from duomem_jax.train.state.state import TrainState

log = logging.getLogger(__name__)

# Two: when the last one is damaged, the run goes on from the one before.
KEEP = 2


class Checkpoints:
    """The checkpoints of one run, numbered by updates done; each appears whole or not at all."""

    def __init__(self, folder: Path, name: str, every: int, metadata: dict[str, Any]):
        """Open `folder`.

        Args:
            folder: created when absent.
            name: what the trained tree is called in the checkpoint: "lora" or "params".
            every: a checkpoint is due after each this many steps.
            metadata: written with each checkpoint; `base_fingerprint` is checked on restore.

        Raises:
            UserError: Orbax cannot read what a checkpoint says of itself.
        """
        training = ocp.training
        keep = training.preservation_policies
        # Orbax sorts and keeps the end of the list; `reverse` puts the least loss there.
        # Checkpoints without a loss are kept by `LatestN` alone, or they would pile up.
        best = keep.BestN(
            get_metric_fn=_loss, reverse=True, n=1, keep_checkpoints_without_metrics=False
        )
        self._folder = epath.Path(folder if is_remote(folder) else folder.absolute())
        self._name, self._every, self._metadata = name, every, metadata
        with explain_full_disk(folder), self._name_damaged():
            self._checkpointer = training.Checkpointer(
                self._folder,
                # The loop decides when (`due`, or a signal): Orbax is to refuse no step that it is
                # given.
                save_decision_policy=training.save_decision_policies.FixedIntervalPolicy(1),
                preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(KEEP), best]),
                cleanup_tmp_directories=True,  # what a killed run left half-written
            )
        self._pending: Any = None

    @contextlib.contextmanager
    def _name_damaged(self) -> Iterator[None]:
        """Orbax reads the metadata of all checkpoints, and does not say whose it could not."""
        try:
            yield
        except Exception as e:
            steps = [p for p in self._folder.iterdir() if p.name.isdigit()]
            for step in sorted(steps, key=lambda p: int(p.name)):
                with _alone():
                    try:
                        ocp.checkpointables_metadata(step)
                    except Exception:
                        raise UserError(
                            f"{step}: the metadata is damaged ({first_line(e)}); delete this "
                            "checkpoint to go on from the one before"
                        ) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C too may leave a checkpoint half-written. When the last save fails, that is the
        # run's error and is raised here.
        self.close(failed=kind is not None)

    def due(self, step: int) -> bool:
        """Whether it is time for a checkpoint after `step` updates."""
        return step % self._every == 0

    def save(self, step: int, state: TrainState, loss: float | None = None) -> None:
        """Save in the background; `loss` is that of held-out rows, of which the least is kept."""
        # Orbax refuses a number that is already there.
        if any(c.step == step for c in self._checkpointer.checkpoints):
            return
        with explain_full_disk(self._folder):
            self.wait()  # an error of the save before belongs here, not at the end
            self._pending = self._checkpointer.save_checkpointables_async(
                step,
                {"state": self._pack(state) | {"checksum": checksum(state)}},
                metrics=None if loss is None else {"loss": loss},
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

        A damaged checkpoint is named in a warning and omitted; the run writes it again.

        Args:
            like: a state (or its shapes) of the same structure.
            shardings: where each leaf goes; may differ from the mesh that saved it.

        Raises:
            UserError: it was trained on another base, or all checkpoints are damaged.
        """
        damaged: list[int] = []
        # Newest first: the steps since a checkpoint have to be done again.
        for found in reversed(self._checkpointer.checkpoints):
            try:
                state, problem = self.load(found.step, like, shardings), ""
            # Another base is no damage: an older checkpoint would be of that base too.
            except UserError:
                raise
            except Exception as e:  # whatever a library meets in a damaged file
                problem = f"{type(e).__name__}: {first_line(e)}"[:200]
            # All hosts take the same checkpoint, so one that a single host cannot read is damaged
            # for all.
            if agree(not problem):
                # Only once a good one is found: when none can be read, all are left as they are.
                # The run will write these steps again, under the same numbers.
                for step in damaged:
                    self._checkpointer.delete(step)
                return state
            # Of the hosts that could read it one speaks; those that could not each name their
            # problem.
            if problem or is_first():
                reason = problem or "another host cannot read it"
                log.warning(f"{self._folder / str(found.step)}: damaged, omitted ({reason})")
            damaged.append(found.step)
        if damaged:
            raise UserError(
                f"{self._folder}: no checkpoint can be read; delete it to start again, or choose "
                "another output folder"
            )
        return None

    def latest(self) -> int | None:
        """The step of the last checkpoint once it is on disk, None where there is none."""
        self.wait()
        return max((c.step for c in self._checkpointer.checkpoints), default=None)

    def best(self) -> int | None:
        """The checkpoint whose loss on held-out rows is least, None where there are no losses."""
        found = self._checkpointer.checkpoints
        losses = [((c.metrics or {}).get("loss"), c.step) for c in found]
        # Runs stop at a loss that is NaN; a folder of an older version may still hold one.
        losses = [(x, step) for x, step in losses if isinstance(x, float) and math.isfinite(x)]
        return min(losses)[1] if losses else None

    def load(self, step: int, like: TrainState, shardings: TrainState) -> TrainState:
        """The state of one checkpoint; the arguments are those of `restore`."""
        folder = self._folder / str(step)
        # Each host reads only its own parts, straight to where this mesh wants them.
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), like, shardings
        )
        number = jax.ShapeDtypeStruct((), jnp.uint32, sharding=shardings.step)
        with _alone():
            saved = ocp.checkpointables_metadata(folder).custom_metadata or {}
            if saved["base_fingerprint"] != self._metadata["base_fingerprint"]:
                raise UserError(
                    f"{self._folder}: was trained on another base ({saved.get('base')}) than field "
                    f"base = {self._metadata['base']}; choose another output folder"
                )
            wanted = {"state": self._pack(abstract) | {"checksum": number}}
            leaves = ocp.load_checkpointables(folder, wanted)["state"]
        opt_state = jax.tree.unflatten(
            jax.tree.structure(like.opt_state),
            [leaves["opt_state"][key] for key in _flat(like.opt_state)],
        )
        state = TrainState(leaves["step"], leaves[self._name], opt_state, leaves["rng"])
        if int(leaves["checksum"]) != int(checksum(state)):
            # Not a UserError: `restore` counts it as damage and tries the one before.
            raise ValueError("its values are not those that were saved")
        return state

    def close(self, *, failed: bool = False) -> None:
        """Finish pending work; after a failure also remove what was half-written."""
        if failed and jax.process_count() > 1:
            return  # a host may be lost: do not wait for it, the next start cleans up
        # After a failure the first error is the one to tell, not what closing meets after it.
        with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
            self.wait()
        with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
            self._checkpointer.close()
        if failed:
            # Orbax removes them only at the next start, and that may never come.
            for part in self._folder.glob("*.orbax-checkpoint-tmp*"):
                part.rmtree(missing_ok=True)

    def _pack(self, state: TrainState) -> dict[str, Any]:
        return {
            "step": state.step,
            self._name: state.params,
            "opt_state": _flat(state.opt_state),
            "rng": state.rng,
        }


def _loss(metrics: dict[str, float]) -> float:
    return metrics["loss"]


def _alone() -> ocp.Context:
    """Read without waiting for other hosts, which may meet damage in files not needed here.

    They agree on the outcome afterwards.
    """
    here = jax.process_index()
    return ocp.Context(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=here, active_processes={here}
        )
    )


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by path: independent of the optimizer library's container classes."""
    return {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(tree)}
