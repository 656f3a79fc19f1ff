import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import load_prompt, system_text
from duomem_jax.memory.write import speaker

OURS = load_prompt("write_script", ("task", "trajectory"), speaker.PROMPTS)


def test_prompts_of_the_package_are_whole():
    prompt = load_prompt("write_script", ("task", "trajectory"), speaker.PROMPTS)
    filled = prompt.fill(task="T$x", trajectory="${y}")
    assert "T$x" in filled
    assert filled.endswith("${y}")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("no place", "holds no placeholder where"),
        ("$task", "holds task where"),
        ("$task $trajectory $more", "holds more, task, trajectory where"),
        ("$task $trajectory costs $5", r"holds a lone \$ where"),
    ],
)
def test_other_placeholders_are_named(tmp_path, text, holds):
    file = tmp_path / "own.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"own\.txt: {holds} \$task, \$trajectory is expected"):
        load_prompt(str(file), ("task", "trajectory"))


def test_equal_hashes_are_equal_texts(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text(OURS.text + "\n")
    assert load_prompt(str(file), ("task", "trajectory")).sha256 == OURS.sha256
    file.write_text("Else.")
    assert load_prompt(str(file)).sha256 != OURS.sha256


def test_a_file_that_is_no_text_is_named(tmp_path):
    file = tmp_path / "own.bin"
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"own\.bin: not readable as text"):
        load_prompt(str(file))


def test_system_messages_are_texts_or_files(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("Play well.\n")
    play = "Follow the rules."
    assert system_text("Play well.", play) == system_text(f"@{file}", play) == "Play well."
    assert system_text("@play", play) == play
    assert system_text("", play) == system_text("@/dev/null", play) == ""
    with pytest.raises(UserError, match="nowhere: not readable"):
        system_text("@nowhere", play)
