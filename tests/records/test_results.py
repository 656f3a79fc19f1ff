import dataclasses
import json
import math

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.log import Log
from duomem_jax.records.results import Result, ResultLog, Usage, collect_results, read_results

CONFIG = {"model": "tiny", "max_steps": 50, "targets": ("q", "v")}


def row(game="g0", seed=0, subject="lora"):
    scores = {"success": 1.0, "steps": 7.0}
    return Result(subject, game, game, "put", seed, scores, Usage(200, 90, 0.25), "won")


def write(path, *rows, config=CONFIG):
    with ResultLog(path, config) as log:
        log.append(*rows)


def test_appended_rows_are_read_back_and_count_as_done(tmp_path):
    path = tmp_path / "r" / "lora.seed0.sqlite"
    rows = [row("g0"), row("g1"), row("g1", seed=1)]
    done = {("lora", "g0", 0), ("lora", "g1", 0), ("lora", "g1", 1)}
    with ResultLog(path, CONFIG) as log:
        assert log.done == set()
        for r in rows:
            log.append(r)
        assert log.done == done
        assert read_results(path) == rows  # while it is being written
    with ResultLog(path, CONFIG) as log:
        assert (log.rows, log.done) == (rows, done)


def test_a_row_keeps_numbers_that_sql_has_not(tmp_path):
    numbers = (math.nan, math.inf, 1, 0.1 + 0.2)
    write(tmp_path / "a.sqlite", *(dataclasses.replace(row(), scores={"f1": x}) for x in numbers))
    got = [r.scores["f1"] for r in read_results(tmp_path / "a.sqlite")]
    assert math.isnan(got[0])
    assert got[1:] == [math.inf, 1, 0.1 + 0.2]


def test_another_configuration_is_refused_and_names_what_differs(tmp_path):
    path, other = tmp_path / "a.sqlite", CONFIG | {"max_steps": 30}
    ResultLog(path, CONFIG).close()
    read_results(path, other)  # no row that could be of another configuration
    write(path, row())
    for use in (ResultLog, read_results):
        with pytest.raises(UserError, match=r"another configuration \(different: max_steps\)"):
            use(path, other)
    assert read_results(path, CONFIG) == [row()]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "mapping"),
        ("{}", "missing"),
        (json.dumps(dataclasses.asdict(row()) | {"seed": "7"}), "field seed is '7'; give int"),
        (json.dumps(dataclasses.asdict(row()) | {"seed": True}), "field seed is True; give int"),
        (json.dumps(dataclasses.asdict(row()) | {"scores": 7}), "field scores is 7; give dict"),
        (json.dumps(dataclasses.asdict(row()) | {"cost": {"dollars": 7}}), "dollars"),
    ],
)
def test_a_row_of_another_kind_is_named(tmp_path, record, says):
    path = tmp_path / "a.sqlite"
    good = json.dumps(dataclasses.asdict(row())).encode()
    with Log(path, CONFIG, shared=True) as log:
        log.append("0", [good, record.encode(), good], {})
    for use in (lambda: ResultLog(path, CONFIG), lambda: read_results(path)):
        with pytest.raises(UserError, match=r"a\.sqlite: row 2 is not a result") as e:
            use()
        assert says in str(e.value)


def test_collecting_folders_and_files(tmp_path):
    write(tmp_path / "x" / "a.sqlite", row("g0"))
    write(tmp_path / "x" / "b.sqlite", row("g0", subject="both"))
    write(tmp_path / "c.sqlite", row("g1"))
    rows = collect_results([tmp_path / "x", tmp_path / "c.sqlite"])
    assert rows == [row("g0"), row("g0", subject="both"), row("g1")]
    write(tmp_path / "d.sqlite", row("g1"), config=CONFIG | {"model": "other"})
    with pytest.raises(UserError, match="already in"):
        collect_results([tmp_path / "c.sqlite", tmp_path / "d.sqlite"])
    protocol = CONFIG | {"protocol": {"max_steps": 30}}
    write(tmp_path / "e.sqlite", row("g2"), config=protocol)
    with pytest.raises(UserError, match=r"e\.sqlite: .*another protocol.*c\.sqlite"):
        collect_results([tmp_path / "c.sqlite", tmp_path / "e.sqlite"])
    with pytest.raises(UserError, match="no such results file"):
        collect_results([tmp_path / "missing.sqlite"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no results"):
        collect_results([tmp_path / "empty"])
