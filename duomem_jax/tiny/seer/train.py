"""Learning to see: tower and projector on rendered pictures, through a decoder."""

import contextlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import SingleDeviceSharding

from duomem_jax.base.io import atomic_dir, atomic_write_bytes
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.flops import Load, load_of, train_flops
from duomem_jax.models.hf import copy_tokenizer, fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.trees import Params
from duomem_jax.models.vision.config import VisionConfig
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.merge import PictureFeatures
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.models.vision.processor import OLDER
from duomem_jax.models.vision.save import save_seeing
from duomem_jax.objectives import Batch, Loss, States, TextTargets
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.seer.lessons import Desk, lesson
from duomem_jax.tiny.seer.start import hf_config
from duomem_jax.tiny.seer.words import Words
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.feed import Fed
from duomem_jax.train.loop import Loop
from duomem_jax.train.output import check_output, claimed
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import TrainState, Tree, new_state
from duomem_jax.train.state.step import Frozen, Metrics, updated
from duomem_jax.train.watch.goodput import Stopwatch, summary

LENGTH = 112  # T, tokens of a row; one lesson in ten is longer, and loses its last question

log = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What a step gets.

    Attributes:
        rows: lessons about pictures.
        tiles_Bhwc: the picture of each.
        words: lessons without a picture, where the decoder learns. Without them it forgot how to
            read: from 0.14 nats a reply token of the listener's own lessons to 13.6.
    """

    rows: Batch
    tiles_Bhwc: jax.Array
    words: Batch | None


class Lessons:
    """A `train.feed.Feed` of new pictures in every step; the next ones are drawn meanwhile."""

    def __init__(self, desk: Desk, words: Words | None, rows: int, seed: int) -> None:
        self._desk, self._words, self._rows, self._seed = desk, words, rows, seed
        self._pool = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[Shown]] = {}

    def batch(self, step: int, params: Tree) -> Fed:
        """See the protocol; nothing depends on what was learnt."""
        shown = self._ahead.pop(step, None) or self._pool.submit(self._draw, step)
        self._ahead = {step + 1: self._pool.submit(self._draw, step + 1)}
        return Fed(shown.result())

    def _draw(self, step: int) -> Shown:
        first = step * self._rows
        shown = [lesson(self._seed, first + i) for i in range(self._rows)]
        rows, tiles_Bhwc = self._desk.batch(shown)
        words = self._words.batch(step) if self._words else None
        return Shown(rows, jnp.asarray(tiles_Bhwc), words)

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(cancel_futures=True)


def replies_loss(
    model: Model, params: Params, rows: Batch, pictures: PictureFeatures | None = None
) -> Loss:
    """Of the replies of packed rows.

    Args:
        model: the decoder.
        params: its weights.
        rows: [B, T].
        pictures: that they show.
    """
    student = rows.student
    x_BTD = model.hidden(
        params, student.ids_BT, student.positions_BT, student.segments_BT, pictures=pictures
    )
    return TextTargets().loss(States(x_BTD, model.head(params)), rows)


@dataclass(frozen=True)
class Pupil:
    """What is fixed about a step.

    Attributes:
        words: the decoder.
        eyes: tower and projector.
        tx: the optimizer.
    """

    words: Model
    eyes: VisionModel
    tx: optax.GradientTransformation

    def loss(self, params: Tree, frozen: Frozen, shown: Shown) -> Loss:
        """Of the answers.

        Args:
            params: {"eyes": ...}, and {"words": ...} where the decoder learns, too.
            frozen: the decoder's weights, where it does not.
            shown: rows and tiles.
        """
        rows, base = shown.rows, params.get("words", frozen.base)
        assert rows.seen is not None
        features_BTD = self.eyes.features(params["eyes"], shown.tiles_Bhwc)
        pictures = PictureFeatures(features_BTD, rows.seen.index_BT)
        loss = replies_loss(self.words, base, rows, pictures)
        if shown.words is None:
            return loss
        told = replies_loss(self.words, base, shown.words)
        return Loss(loss.total + told.total, loss.weight + told.weight)

    def _load(self, rows: Batch) -> Load:
        student = rows.student
        scored = jnp.sum(student.reply_BT != 0, dtype=jnp.float32)
        return load_of(self.words, student.positions_BT, student.segments_BT, scored)

    def step(self, state: TrainState, frozen: Frozen, shown: Shown) -> tuple[TrainState, Metrics]:
        """One update."""

        state, loss, grad_norm = updated(
            self.tx, state, lambda params: self.loss(params, frozen, shown)
        )
        one = jnp.float32(1)
        loads = [self._load(rows) for rows in (shown.rows, shown.words) if rows is not None]
        metrics = {
            "loss": (loss.total, loss.weight),
            "grad_norm": (grad_norm, one),
            "tokens": (sum(load.tokens for load in loads), one),
            # Of the decoder.
            "flops": (sum(train_flops(self.words, load) for load in loads), one),
        }
        return state, metrics


def learn(config: TrainConfig) -> Path:
    """Train tower and projector of `config.base`, and its decoder where `trainable` is all.

    Stopped, it goes on where it was. Each step shows `global_batch` pictures that no step before it
    has shown.

    Returns:
        The folder of the model.

    Raises:
        UserError: a base that does not see, an output folder of another run, or a loss that is not
            a number.
        StoppedError: the machine is to be taken away; the same call continues.
    """
    watch = Stopwatch()
    check_output(config)
    (decoder, words), (vision, eyes) = load_pretrained(config.base), load_vision(config.base)
    learns_words = config.trainable == "all"
    params = {"eyes": eyes} | ({"words": words} if learns_words else {})
    tx = make_optimizer(config.optimizer, config.steps)
    pupil = Pupil(Model(decoder), VisionModel(vision), tx)
    with claimed(config) as out, _checkpoints(config, out) as saver, _lessons(config) as feed:
        state = new_state(tx, params, config.seed)
        where = jax.tree.map(lambda _: SingleDeviceSharding(jax.devices()[0]), state)
        state = saver.restore(state, where) or state
        frozen = Frozen(None if learns_words else words)
        step = jax.jit(pupil.step, donate_argnums=0)
        state = Loop(config, step, frozen, feed, saver, None, watch).run(state)
        trained = jax.device_get(state.params)
        learnt = trained.get("words", words)
        folder = out / "model"
        if not folder.exists():
            with atomic_dir(folder) as tmp:
                save_trained(tmp, config.base, (decoder, learnt), (vision, trained["eyes"]))
    log.info(summary(watch.seconds()))
    return folder


def _lessons(config: TrainConfig) -> contextlib.closing[Lessons]:
    tokenizer = load_tokenizer(config.base)
    desk = Desk(Eyes(config.base), tokenizer, LENGTH)
    words = Words(tokenizer) if config.trainable == "all" else None
    return contextlib.closing(Lessons(desk, words, config.global_batch, config.seed))


def _checkpoints(config: TrainConfig, out: Path) -> Checkpoints:
    facts = {"base_fingerprint": fingerprint(config.base)}
    return Checkpoints(out / "checkpoints", "params", config.checkpoint_every, facts)


def save_trained(
    folder: Path,
    base: str | Path,
    decoder: tuple[ModelConfig, Params],
    sight: tuple[VisionConfig, Params],
    dtype: str = "float32",
) -> None:
    """Write a model in the form of its base, whose tokenizer and processor it has.

    Args:
        folder: where to.
        base: folder of the base.
        decoder: its shape and parameters.
        sight: shapes and parameters of tower and projector.
        dtype: of the tensors in the file.
    """
    copy_tokenizer(base, folder)
    atomic_write_bytes(folder / OLDER, (Path(base) / OLDER).read_bytes())
    save_seeing(folder, hf_config(decoder[0], sight[0]), decoder, sight, dtype)
