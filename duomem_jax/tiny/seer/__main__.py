"""Give a model of words small eyes: `python -m duomem_jax.tiny.seer OUT --decoder FOLDER`.

Stopped, it resumes where it was. The result, OUT/model, is a Hugging Face folder of SmolVLM's form.
"""

import argparse
import logging
import sys
from pathlib import Path

from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.models.locate import model_path
from duomem_jax.tiny.seer.score import score, words_loss
from duomem_jax.tiny.seer.ship import ship
from duomem_jax.tiny.seer.start import write_start
from duomem_jax.tiny.seer.train import learn
from duomem_jax.train.config import OptimizerConfig, TrainConfig

PICTURES = 400  # held out, of which the model is asked in the end


def config(args: argparse.Namespace) -> TrainConfig:
    """What is trained, and how."""
    return TrainConfig(
        base=f"{args.out.rstrip('/')}-start",
        data="",
        output=args.out,
        trainable="all" if args.words else "lora",
        optimizer=OptimizerConfig("muon", args.rate, schedule="linear", warmup_steps=50),
        steps=args.steps,
        global_batch=args.rows,
        checkpoint_every=500,
        log_every=50,
        seed=args.seed,
    )


def _kept(model: Path, decoder: str) -> str:
    """Whether a decoder that has learnt to see still reads as it did."""
    now, before = words_loss(model), words_loss(model_path(decoder))
    return (
        f"Lessons of words that nobody has learnt from: {now:.3f} nats a reply token; "
        f"{Path(decoder).name} {before:.3f}."
    )


def main() -> None:
    """Command line of this package."""
    parser = argparse.ArgumentParser(prog="python -m duomem_jax.tiny.seer", description=__doc__)
    parser.add_argument("out", help="folder of the run; OUT-start is written beside it")
    parser.add_argument("--decoder", default="tiny-listener", help="folder, hub id or shipped")
    parser.add_argument("--words", action="store_true", help="tiny-listener learns, too")
    parser.add_argument("--tower", default="", help="model whose tower is taken")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=32, help="pictures a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="of learning, at its peak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", action="store_true", help="put it into the package")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        made = config(args)
        if not Path(made.base).exists():
            tower = model_path(args.tower) if args.tower else ""
            write_start(made.base, model_path(args.decoder), args.seed, tower)
        model = learn(made)
        print(f"{model}, on {PICTURES} pictures that it has not learnt from:\n")
        scores = score(str(model), PICTURES)
        if args.words:
            scores += "\n\n" + _kept(model, args.decoder)
        print(scores)
        if args.ship:
            print(ship(Path(made.output), scores))
    except (UserError, StoppedError) as e:
        sys.exit(f"duomem_jax.tiny.seer: {e}")


if __name__ == "__main__":
    main()
