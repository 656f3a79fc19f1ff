"""An adapter for others to use: with a model card, alone or merged into its base."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Literal

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import as_path, atomic_dir, atomic_write_text, read_json
from duomem_jax.evals.games.describe import GAMES
from duomem_jax.evals.summary import summarize
from duomem_jax.lora.open import open_model
from duomem_jax.lora.peft import NOTES, WEIGHTS, adapter_fingerprint
from duomem_jax.lora.peft_config import FILE
from duomem_jax.models.hf import copy_tokenizer, fingerprint, save_pretrained
from duomem_jax.models.locate import model_path, public_name
from duomem_jax.models.stored import stored_dtype
from duomem_jax.records.results import collect_results
from duomem_jax.records.store.spec import refuse_difference
from duomem_jax.records.there import instead
from duomem_jax.report.table import subjects_table
from duomem_jax.stages.options import Folder
from duomem_jax.train.watch.writers import read_metrics

FACTS = "exported.json"  # what a folder was made from
AGAIN = "train again"


def export(
    out: Folder,
    /,
    adapter: str,
    base: str = "",
    merged: bool = False,
    dtype: Literal["", "float32", "bfloat16"] = "",
    results: str = "",
) -> str:
    """Write an adapter with a model card, for PEFT; or merged into its base, for transformers.

    Args:
        out: folder to write.
        adapter: folder `adapter` of a run of train.py.
        base: the base model, where it has another name by now; empty: the one the adapter names.
        merged: write the whole model with the adapter in its kernels.
        dtype: of a merged model's weights; empty: the base's own. bfloat16 rounds what the adapter
            adds.
        results: folder of results that the card quotes, from `duomem evaluate`.

    Returns:
        One sentence on what was written.

    Raises:
        UserError: not an adapter of ours, or not of that base; or the folder holds something else.
    """
    if dtype and not merged:
        raise UserError(
            f"dtype is {dtype}, and an adapter stays in float32; add --merged or omit it"
        )
    notes = _notes(Path(adapter), base)
    # Before the name that others know it by takes the place of its own.
    source = model_path(base or notes["base"]) if merged else ""
    notes["base"] = public_name(base or notes["base"])
    written = (dtype or stored_dtype(source)) if merged else ""
    scores = _scores(Path(results)) if results else ""
    facts = {
        "adapter": adapter_fingerprint(adapter),
        "base": notes["base_fingerprint"],
        "base_name": _place(notes["base"]),
        "merged": merged,
        "dtype": written,
        "results": hashlib.sha256(scores.encode()).hexdigest() if scores else "",
    }
    done = as_path(out) / FACTS
    if done.exists():
        refuse_difference(out, facts, read_json(done, missing="", damaged="delete the folder"))
        return f"{out}: already there, reused"
    try:
        # The card first: notes of another version are refused before anything is written.
        text = card(notes, Path(out).name, Path(adapter), written, scores)
    except KeyError as e:
        raise UserError(f"{Path(adapter) / NOTES}: field {e} is missing; {AGAIN}") from None
    except (AttributeError, TypeError, ValueError) as e:
        raise UserError(
            f"{Path(adapter) / NOTES}: a field has a wrong value ({e}); {AGAIN}"
        ) from None
    with atomic_dir(out) as tmp:
        if merged:
            _write_merged(source, adapter, tmp, written)
            # In place of the base's, which may have been copied: how the model is to be played.
            atomic_write_text(tmp / NOTES, json.dumps(notes, indent=2) + "\n")
        else:
            _copy_adapter(Path(adapter), tmp, notes)
        atomic_write_text(tmp / "README.md", text)
        atomic_write_text(tmp / FACTS, json.dumps(facts, indent=2) + "\n")
    what = f"model with the adapter merged, in {written}," if merged else "adapter"
    return f"{out}: {what} written"


def _notes(adapter: Path, base: str) -> dict[str, Any]:
    """What a run has noted with its adapter.

    Raises:
        UserError: there are no notes, or the base is another one.
    """
    path = adapter / NOTES
    wanted = instead(adapter, "the folder `adapter` of a run of train.py")
    notes = read_json(path, missing=wanted, damaged=AGAIN)
    for field in ("base", "base_fingerprint"):
        if not isinstance(notes.get(field), str):
            raise UserError(f"{path}: field {field!r} is missing; {AGAIN}")
    if base and fingerprint(model_path(base)) != notes["base_fingerprint"]:
        raise UserError(
            f"{base}: is not the base of {adapter}, which was trained on {notes['base']}; "
            "use that one"
        )
    return notes


def _place(base: str) -> str:
    """A base's name in which its folder is spelled in one way only."""
    return str(Path(base).resolve()) if Path(base).is_dir() else base


def _copy_adapter(adapter: Path, folder: Path, notes: dict[str, Any]) -> None:
    # By name: the folder may have been given a card or other files.
    shutil.copyfile(adapter / WEIGHTS, folder / WEIGHTS)
    shutil.copyfile(adapter / NOTES, folder / NOTES)
    config = read_json(adapter / FILE, missing=AGAIN, damaged=AGAIN)
    if config.get("base_model_name_or_path") != notes["base"]:
        # What PEFT opens the base by.
        config["base_model_name_or_path"] = notes["base"]
        atomic_write_text(folder / FILE, json.dumps(config, indent=2) + "\n")
    else:
        shutil.copyfile(adapter / FILE, folder / FILE)


def _write_merged(base: str, adapter: str, folder: Path, dtype: str) -> None:
    # Opened and merged in float32, rounded once at the end.
    opened = open_model(base, adapter)
    save_pretrained(folder, opened.model.config, opened.merged(), dtype, base)
    copy_tokenizer(base, folder)


def card(notes: dict[str, Any], name: str, adapter: Path, dtype: str, scores: str) -> str:
    """The model card: base, data, objective, rank, metrics, command.

    Args:
        notes: of the run.
        name: of the model.
        adapter: folder in the run's output folder.
        dtype: of a merged model's weights; empty: it is an adapter.
        scores: a table to quote; empty: none.
    """
    run = notes["config"]
    lora, rule = run["lora"], run["optimizer"]
    # Which scale: alpha alone does not tell what the adapter's product is multiplied by.
    scale = "alpha / sqrt(rank)" if lora["rslora"] else "alpha / rank"
    lines = [
        f"---\nbase_model: {notes['base']}\n"
        f"library_name: {'transformers' if dtype else 'peft'}\n"
        "tags:\n- lora\n- distillation\n- duomem\n---\n",
        f"# {name}\n",
        f"{notes['base']} with a LoRA adapter{', merged' if dtype else ''}, distilled by "
        "`duomem_jax` from the successful episodes of a teacher.\n",
        "| | |\n|---|---|",
        f"| base | `{notes['base']}`, SHA-256 {notes['base_fingerprint'][:16]} |",
        f"| data | {_rows(notes)} |",
        f"| objective | {_objective(run)} |",
        f"| adapter | rank {lora['rank']}, alpha {lora['alpha']:g} (scale {scale}), dropout "
        f"{lora['dropout']:g}, on {', '.join(lora['targets'])} |",
        f"| training | {run['steps']:,} steps of {run['global_batch']} rows, {rule['name']}, "
        f"learning rate {rule['learning_rate']:g}, seed {run['seed']} |",
        f"| last training loss | {_last_loss(adapter.parent)} |",
        f"| weights | {_weights(dtype)} |",
        f"| command | `{notes['command']}` |\n",
    ]
    if scores:
        lines += ["## Scores\n", scores]
    return "\n".join(lines) + "\n"


def _weights(dtype: str) -> str:
    rounded = ", rounded once after merging in float32" if dtype == "bfloat16" else ""
    return f"{dtype}{rounded}" if dtype else "of the adapter alone, float32"


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
    teacher = run["teacher"] and public_name(run["teacher"])
    source = f"teacher `{teacher}`" if teacher else "targets stored with the rows"
    share = objective["ce_weight"]
    text = f", {share:g} of it cross-entropy" if share else ""
    if gate := objective.get("gate"):  # runs of an earlier version have none
        text += f" where the divergence is above {gate:g} nats"
    return f"{objective['name']}, {source}, temperature {objective['temperature']:g}{text}"


def _scores(results: Path) -> str:
    return subjects_table(summarize(collect_results([results]), GAMES), GAMES)


def _last_loss(run: Path) -> str:
    try:
        # An adapter may have been moved away from its run; the card is then without it.
        row = read_metrics(run / "metrics.jsonl")[-1]
        return f"{row['loss']:.4f} nats a token at step {row['step']:,}"
    except (UserError, LookupError):
        return "not at hand"
