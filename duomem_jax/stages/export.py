"""An adapter for others to use: with a model card, alone or merged into its base."""

import json
import shutil
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, atomic_write_text, read_json
from duomem_jax.evals.games.describe import GAMES
from duomem_jax.evals.summary import summarize
from duomem_jax.lora.open import open_model
from duomem_jax.lora.peft import NOTES
from duomem_jax.models.hf import copy_tokenizer, save_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.records.results import collect_results
from duomem_jax.report.table import subjects_table
from duomem_jax.stages.options import Folder


def export(
    out: Folder,
    /,
    adapter: str,
    base: str = "",
    merged: bool = False,
    results: str = "",
) -> Path:
    """Write an adapter with a model card, for PEFT; or merged into its base, for transformers.

    Args:
        out: folder to write, replaced as a whole.
        adapter: folder `adapter` of a run of train.py.
        base: the base model; empty: the one the adapter names.
        merged: write the whole model with the adapter in its kernels, in bfloat16.
        results: folder of results that the card quotes, from `duomem evaluate`.

    Returns:
        The folder.

    Raises:
        UserError: not an adapter of ours, or not of that base.
    """
    notes = read_json(
        Path(adapter) / NOTES,
        missing="give the folder `adapter` of a run of train.py",
        damaged="train again",
    )
    try:
        # The card first: notes of another version are refused before anything is written.
        text = card(notes, Path(out).name, Path(adapter), merged, results)
    except KeyError as e:
        raise UserError(f"{Path(adapter) / NOTES}: field {e} is missing; train again") from None
    with atomic_dir(out) as tmp:
        if merged:
            _write_merged(model_path(base or notes["base"]), adapter, tmp)
            # In place of the base's, which may have been copied: how the model is to be played.
            atomic_write_text(tmp / NOTES, json.dumps(notes, indent=2) + "\n")
        else:
            for file in Path(adapter).glob("*"):
                # PEFT's files and our notes, by name: the folder may have been given a card or
                # other files.
                if file.name.startswith("adapter_") or file.name == NOTES:
                    shutil.copyfile(file, tmp / file.name)
        atomic_write_text(tmp / "README.md", text)
    return Path(out)


def _write_merged(base: str, adapter: str, folder: Path) -> None:
    # Opened and merged in float32, rounded once at the end.
    opened = open_model(base, adapter)
    save_pretrained(folder, opened.model.config, opened.merged(), "bfloat16")
    copy_tokenizer(base, folder)


def card(notes: dict[str, Any], name: str, adapter: Path, merged: bool, results: str) -> str:
    """The model card: base, data, objective, rank, metrics, command."""
    run = notes["config"]
    lora, rule = run["lora"], run["optimizer"]
    # Which scale: alpha alone does not tell what the adapter's product is multiplied by.
    scale = "alpha / sqrt(rank)" if lora["rslora"] else "alpha / rank"
    lines = [
        f"---\nbase_model: {notes['base']}\n"
        f"library_name: {'transformers' if merged else 'peft'}\n"
        "tags:\n- lora\n- distillation\n- duomem\n---\n",
        f"# {name}\n",
        f"{notes['base']} with a LoRA adapter{', merged' * merged}, distilled by `duomem_jax` from "
        "the successful episodes of a teacher.\n",
        "| | |\n|---|---|",
        f"| base | `{notes['base']}`, SHA-256 {notes['base_fingerprint'][:16]} |",
        f"| data | {_rows(notes)} |",
        f"| objective | {_objective(run)} |",
        f"| adapter | rank {lora['rank']}, alpha {lora['alpha']:g} (scale {scale}), dropout "
        f"{lora['dropout']:g}, on {', '.join(lora['targets'])} |",
        f"| training | {run['steps']:,} steps of {run['global_batch']} rows, {rule['name']}, "
        f"learning rate {rule['learning_rate']:g}, seed {run['seed']} |",
        f"| last training loss | {_last_loss(adapter.parent)} |",
        f"| command | `{notes['command']}` |\n",
    ]
    if results:
        lines += ["## Scores\n", _scores(Path(results))]
    return "\n".join(lines) + "\n"


def _rows(notes: dict[str, Any]) -> str:
    """What was learnt from, as it was then: other rows may lie in the folder by now."""
    rows = notes["rows"]
    if rows is None:
        # No stored rows: the student played its own.
        games = notes["config"]["on_policy"]["games"]["path"]
        return f"the student's own play of games in `{games}`"
    return f"`{rows['folder']}`, {rows['examples']:,} examples, content {rows['content'][:16]}"


def _objective(run: dict[str, Any]) -> str:
    """What the adapter was trained to do, from the config of its run."""
    objective = run["objective"]
    if objective["name"] == "text":
        return "cross-entropy on the teacher's replies"
    source = f"teacher `{run['teacher']}`" if run["teacher"] else "targets stored with the rows"
    share = objective["ce_weight"]
    text = f", {share:g} of it cross-entropy" if share else ""
    return f"{objective['name']}, {source}, temperature {objective['temperature']:g}{text}"


def _scores(results: Path) -> str:
    return subjects_table(summarize(collect_results([results]), GAMES), GAMES)


def _last_loss(run: Path) -> str:
    try:
        # An adapter may have been moved away from its run; the card is then without it.
        last = (run / "metrics.jsonl").read_text().splitlines()[-1]
    except (FileNotFoundError, IndexError):
        return "not at hand"
    row = json.loads(last)
    return f"{row['loss']:.4f} nats a token at step {row['step']:,}"
