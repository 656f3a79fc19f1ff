"""What docs/memory.md says of the store is run."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs/memory.md"


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    section = PAGE.read_text().partition("\n## The store\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.S | re.M)
    assert len(blocks) >= 5
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out.splitlines()
    assert "1 Ann 2023-05-08T13:56:00Z I moved to Oslo last week." in shown
    assert "2 update 2023-07-01T10:00:00Z Ann works at a school" in shown
    assert any(line.startswith("1 I like thrillers") for line in shown)
