"""Put a pretrained tiny model into the package: bfloat16 weights and a model card.

python -m duomem_jax.tiny.ship tiny-teacher runs/tiny/teacher --results runs/alfworld-tiny/results
"""

import argparse
import json
import sys
from pathlib import Path

from duomem_jax.errors import UserError
from duomem_jax.evals.results import collect_results
from duomem_jax.evals.summary import summarize
from duomem_jax.io import atomic_dir, atomic_write_text
from duomem_jax.lora.tree import count
from duomem_jax.models.hf import load_pretrained, save_pretrained
from duomem_jax.report.table import arms_table
from duomem_jax.tiny import model_folder
from duomem_jax.train.output import copy_tokenizer

ABOUT = {
    "tiny-teacher": (
        "A teacher LM for the household text world of ALFWorld, in miniature. It learnt from the "
        "text-only expert of `duomem_jax.teachers.expert`, playing generated games of the six "
        "task types (half of the episodes with deliberate slips, which are shown but not learnt).",
        "teacher",
    ),
    "tiny-student": (
        "A deliberately general student base. It has seen how the household text world answers "
        "(a policy that wanders) and how to follow a procedure written in its context (tasks "
        "named by made-up verbs, the procedure written for other objects and places). It has "
        "never seen one of the six real task types, neither their sentences nor their procedures.",
        "student",
    ),
}


def card(name: str, run: Path, results: Path | None) -> str:
    """Model card: how it was made, on what data, what it scores."""
    about, corpus = ABOUT[name]
    config = json.loads((run / "config.json").read_text())
    data = json.loads((Path(config["data"]) / "manifest.json").read_text())["splits"]["train"]
    shape, params = load_pretrained(str(run / "model"))
    rule = config["optimizer"]
    rows = config["steps"] * config["global_batch"]
    lines = [
        f"---\nlicense: apache-2.0\nlibrary_name: duomem_jax\n---\n\n# {name}\n\n{about}\n",
        "## Data\n",
        f"Generated games only (`duomem_jax.envs.generate`): "
        f"{data['counts']['examples']:,} conversations, {data['counts']['tokens']:,} tokens, "
        f"seed {data['seed']}; the replies alone carry loss. No ALFWorld "
        "game, trajectory or text was used; the generator and the expert's location prior use "
        "aggregate counts of where things lie in ALFWorld's training games.\n",
        "## Training\n",
        f"Qwen3 architecture, {count(params):,} parameters: {shape.n_layers} layers of width "
        f"{shape.d_model}, {shape.vocab_size} tokens of vocabulary. {config['steps']:,} steps of "
        f"{config['global_batch']} rows of {data['config']['length']} tokens "
        f"({rows / data['records']:.2f} times through the data), {rule['name']}, peak learning "
        f"rate {rule['learning_rate']}, {rule['schedule']} decay, seed {config['seed']}. Again:\n",
        f"```sh\npython -m duomem_jax.tiny.start runs/tiny\n"
        f"python -m duomem_jax.tiny.rows {corpus} runs/tiny/{corpus}-rows\n"
        f"python train.py --config configs/tiny_{corpus}.py\n"
        f"python -m duomem_jax.tiny.ship {name} runs/tiny/{corpus}\n```\n",
    ]
    if results is not None:
        arms = summarize(collect_results([results]))
        lines += ["## Scores\n", "ALFWorld valid_seen, 140 games:\n", arms_table(arms)]
    return "\n".join(lines)


def ship(name: str, run: Path, results: Path | None) -> Path:
    """Write the model folder of `name` from the output folder of its training.

    Raises:
        UserError: the run has not finished.
    """
    target, trained = model_folder(name), run / "model"
    if not trained.is_dir():
        raise UserError(f"{trained}: not there; let the training finish first")
    text = card(name, run, results)
    config, params = load_pretrained(str(trained), "float32")
    with atomic_dir(target) as tmp:
        save_pretrained(str(tmp), config, params, "bfloat16")
        copy_tokenizer(str(trained), tmp)
        atomic_write_text(tmp / "README.md", text)
    return target


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Ship a pretrained tiny model.")
    parser.add_argument("name", choices=list(ABOUT))
    parser.add_argument("run", type=Path, help="output folder of train.py")
    parser.add_argument("--results", type=Path, help="folder of results to quote")
    args = parser.parse_args()
    try:
        print(ship(args.name, args.run, args.results))
    except UserError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
