"""Put a pretrained tiny model into the package: bfloat16 weights and a model card."""

import json
from pathlib import Path

from duomem_jax.base.io import atomic_dir, atomic_write_text
from duomem_jax.evals.games.describe import GAMES
from duomem_jax.evals.summary import summarize
from duomem_jax.lora.peft import NOTES
from duomem_jax.lora.tree import count
from duomem_jax.models.hf import copy_tokenizer, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.results import collect_results
from duomem_jax.report.table import subjects_table

ABOUT = {
    "teacher": (
        "A teacher LM for the household text world of ALFWorld, in miniature. It learnt from the "
        "text-only expert of `duomem_jax.worlds.household.expert`, playing generated games of the "
        "six task types (half of the episodes with deliberate slips, which are shown and never "
        "learnt)."
    ),
    "student": (
        "A deliberately general student base. It has seen how the household text world answers "
        "(a policy that wanders) and how to follow a procedure written in its context (tasks "
        "named by made-up verbs, the procedure written for other objects and places). It has "
        "never seen one of the six real task types, neither their sentences nor their procedures."
    ),
    "listener": (
        "A base for the experts of a memory of conversations. It can read lines of a talk, say one "
        "in the third person, count days, find what a question asks for in a few sentences, tell "
        "whether two sentences say the same, and write JSON. It has never seen what the experts "
        "are taught: which lines hold a fact, what a fact changes in a list of memories, and when "
        "to answer that something was not told; nor the prompts of these operations."
    ),
}
_GAMES = (
    "Generated games only (`duomem_jax.worlds.household.generate`): {examples:,} conversations, "
    "{tokens:,} tokens, seed {seed}; the replies alone carry loss. No ALFWorld game, trajectory or "
    "text was used; the generator and the expert's location prior use aggregate counts of where "
    "things lie in ALFWorld's training games.\n"
)
_DIALOGUES = (
    "Lessons on generated training dialogues only (`duomem_jax.worlds.dialogues`), three quarters "
    "of them with made-up names and values: {examples:,} conversations, {tokens:,} tokens, seed "
    "{seed}; the replies alone carry loss. No name, value or phrasing of a held-out dialogue was "
    "used, and no other data.\n"
)
DATA = {"teacher": _GAMES, "student": _GAMES, "listener": _DIALOGUES}


def card(name: str, run: Path, results: Path | None) -> str:
    """Model card: how it was made, on what data, what it scores."""
    # From the run's own files, so that the card says what was done and not what is configured now.
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    data = json.loads((Path(config["data"]) / "manifest.json").read_text(encoding="utf-8"))[
        "splits"
    ]["train"]
    shape, params = load_pretrained(str(run / "model"))
    rule = config["optimizer"]
    rows = config["steps"] * config["global_batch"]
    lines = [
        "---\nlicense: apache-2.0\nlibrary_name: duomem_jax\n---\n",
        f"# tiny-{name}\n\n{ABOUT[name]}\n",
        "## Data\n",
        DATA[name].format(seed=data["seed"], **data["counts"]),
        "## Training\n",
        f"Qwen3 architecture, {count(params):,} parameters: {shape.n_layers} layers of width "
        f"{shape.d_model}, {shape.vocab_size} tokens of vocabulary. {config['steps']:,} steps of "
        f"{config['global_batch']} rows of {data['config']['length']} tokens "
        f"({rows / data['records']:.2f} times through the data), {rule['name']}, peak learning "
        f"rate {rule['learning_rate']}, {rule['schedule']} decay, seed {config['seed']}. Again:\n",
        f"```sh\npython -m duomem_jax.tiny {name}\n```\n",
    ]
    if results is not None:
        lines += ["## Scores\n", "ALFWorld valid_seen:\n", _scores(name, results)]
    return "\n".join(lines)


def _scores(name: str, results: Path) -> str:
    """The players that are this model, weakest first."""
    players = summarize(collect_results([results]), GAMES)
    # All players but the teacher are the student, with and without memories and adapters.
    mine = [player for player in players if (player.subject == "teacher") == (name == "teacher")]
    return subjects_table(sorted(mine, key=lambda player: player.headline.mean), GAMES)


def ship(name: str, run: Path, results: Path | None) -> Path:
    """Write the package's folder of the tiny `name` from the output folder of its training.

    Raises:
        UserError: the folder is still there; git has it, so it may be deleted first.
    """
    target, trained = model_folder(f"tiny-{name}"), run / "model"
    text = card(name, run, results)
    config, params = load_pretrained(str(trained), "float32")
    with atomic_dir(target) as tmp:
        # Half the bytes in the package.
        save_pretrained(str(tmp), config, params, "bfloat16")
        copy_tokenizer(str(trained), tmp)
        (tmp / NOTES).unlink(missing_ok=True)  # paths of the machine it was trained on
        atomic_write_text(tmp / "README.md", text)
    return target
