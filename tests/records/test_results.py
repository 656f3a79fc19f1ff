import dataclasses
import json

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.records.results import Result, ResultLog, Usage, collect_results, read_results

CONFIG = {"model": "tiny", "max_steps": 50, "targets": ("q", "v")}


def row(game="g0", seed=0, subject="lora"):
    scores = {"success": 1.0, "steps": 7.0}
    return Result(subject, game, game, "put", seed, scores, Usage(200, 90, 0.25), "won")


def test_rows_come_back_and_count_as_done(tmp_path):
    path = tmp_path / "r" / "lora.seed0.jsonl"
    log = ResultLog(path, CONFIG)
    assert log.done == set()
    rows = [row("g0"), row("g1"), row("g1", seed=1)]
    for r in rows:
        log.append(r)
    assert read_results(path) == rows
    assert ResultLog(path, CONFIG).done == {("lora", "g0", 0), ("lora", "g1", 0), ("lora", "g1", 1)}
    assert {"subject", "item", "group", "scores", "cost", "ended"} <= json.loads(
        path.open().readline()
    ).keys()


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_a_cut_last_line_is_repaired_with_a_warning(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    log = ResultLog(path, CONFIG)
    log.append(row("g0"))
    log.append(row("g1"))
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n" + lines[1][:cut])
    with pytest.warns(UserWarning, match="cut off"):
        assert read_results(path) == [row("g0")]
    with pytest.warns(UserWarning, match="made again"):
        log = ResultLog(path, CONFIG)
    assert log.done == {("lora", "g0", 0)}
    log.append(row("g1"))
    assert read_results(path) == [row("g0"), row("g1")]


def test_a_whole_last_line_without_newline_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    ResultLog(path, CONFIG).append(row("g0"))
    path.write_text(path.read_text().rstrip("\n"))
    log = ResultLog(path, CONFIG)
    log.append(row("g1"))
    assert read_results(path) == [row("g0"), row("g1")]


def test_another_configuration_is_refused_and_names_what_differs(tmp_path):
    path = tmp_path / "a.jsonl"
    ResultLog(path, CONFIG).append(row())
    with pytest.raises(UserError, match="max_steps"):
        ResultLog(path, CONFIG | {"max_steps": 30})
    (tmp_path / "a.config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json is missing"):
        ResultLog(path, CONFIG)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        json.dumps(dataclasses.asdict(row()) | {"seed": "7"}),
        json.dumps(dataclasses.asdict(row()) | {"scores": 7}),
        json.dumps(dataclasses.asdict(row()) | {"cost": {"dollars": 7}}),
    ],
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    good = json.dumps(dataclasses.asdict(row()))
    path.write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(UserError, match="line 2"):
        read_results(path)


def test_collecting_folders_and_files(tmp_path):
    ResultLog(tmp_path / "x" / "a.jsonl", CONFIG).append(row("g0"))
    ResultLog(tmp_path / "x" / "b.jsonl", CONFIG).append(row("g0", subject="both"))
    ResultLog(tmp_path / "c.jsonl", CONFIG).append(row("g1"))
    rows = collect_results([tmp_path / "x", tmp_path / "c.jsonl"])
    assert rows == [row("g0"), row("g0", subject="both"), row("g1")]
    ResultLog(tmp_path / "d.jsonl", CONFIG).append(row("g1"))
    with pytest.raises(UserError, match="already in"):
        collect_results([tmp_path / "c.jsonl", tmp_path / "d.jsonl"])
    with pytest.raises(UserError, match="no such results file"):
        collect_results([tmp_path / "missing.jsonl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no results"):
        collect_results([tmp_path / "empty"])
