import json
import struct

import pytest

from duomem_jax.evals.stats import Interval
from duomem_jax.records.results import Result
from duomem_jax.report import write_report
from duomem_jax.report.picture import ARM_COLOUR, colours, draw_distance
from duomem_jax.report.table import markdown_table


@pytest.fixture(scope="module")
def rows():
    kinds = ("pick_and_place_simple", "look_at_obj_in_light")
    wins = {("no memory", 0): 2, ("Both", 0): 15, ("Both", 1): 13, ("mine", 0): 20}
    return [
        Result(
            *(arm, f"g{g}", kinds[g % 2], seed, g < won, 5 if g < won else 50, 1200, 90, 0.5),
            "won" if g < won else ("context" if g == 19 else "steps"),
        )
        for (arm, seed), won in wins.items()
        for g in range(20)
    ]


def test_report_folder(tmp_path, rows):
    path = write_report(tmp_path, rows, title="A title", note="Protocol.", order=["mine"])
    text = path.read_text()
    assert text.startswith("# A title\n\nProtocol.\n")
    assert "| mine      |    20 |     1 | 100.0 [83.9, 100.0] |" in text
    assert "| no memory |    20 |     1 |    10.0 [2.8, 30.1] |" in text
    assert "| Both      |    20 |     2 |" in text
    assert text.index("| mine") < text.index("| no memory") < text.index("| Both")
    assert "no memory: in 1 of its lost games the conversation outgrew" in text
    assert "-90.0 [-100.0, -75.0] |      0 / 18 | 7.6e-06 | 2.3e-05 |" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert [a["arm"] for a in report["arms"]] == ["mine", "no memory", "Both"]
    assert report["arms"][2]["success"]["mean"] == pytest.approx(0.7)
    assert len(report["differences"]) == 3


def test_picture_is_a_png_that_grows_with_the_arms(tmp_path, rows):
    write_report(tmp_path / "3", rows, title="t")
    write_report(tmp_path / "1", rows[:20], title="t")
    sizes = []
    for name in ("3", "1"):
        data = (tmp_path / name / "success.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        sizes.append(struct.unpack(">II", data[16:24]))
    assert sizes[0][0] == sizes[1][0] == 1200
    assert sizes[0][1] > sizes[1][1]


def test_success_is_drawn_against_the_distance(tmp_path):
    points = [(f"recipe {i}", 0.1 * i, Interval(0.5, 0.4, 0.7)) for i in range(12)]
    draw_distance(tmp_path / "d.png", points, title="t")
    data = (tmp_path / "d.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (1200, 750)


def test_reports_are_reproducible(tmp_path, rows):
    first = write_report(tmp_path / "a", rows, title="t").read_text()
    assert first == write_report(tmp_path / "b", rows, title="t").read_text()


def test_every_line_of_a_table_is_equally_wide():
    table = markdown_table(["arm", "x"], [["a|b", "1"], ["longer name", "12,345.6"]])
    assert len({len(line) for line in table.splitlines()}) == 1
    assert "a\\|b" in table
    assert table.splitlines()[1].startswith("| :--")


def test_colours_stay_with_the_arm():
    assert colours(["LoRA", "teacher"]) == [ARM_COLOUR["lora"], ARM_COLOUR["teacher"]]
    many = colours(["both", "x", "y", "z", "u", "v"])
    assert len(set(many)) == 6
    assert many[0] == ARM_COLOUR["both"]
