"""LoCoMo's pictures: what fetches them, what is found, and what others put in their place."""

import copy
import json
import re
import shlex
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from made_up_locomo import CONVERSATION, turn
from seeing import made_up

from duomem_jax.base.errors import UserError
from duomem_jax.records import read_dialogues
from duomem_jax.stages.locomo import pictures, prepare
from duomem_jax.worlds.dialogues import locomo
from duomem_jax.worlds.dialogues.fetched import (
    NO_FILE,
    NO_PICTURE,
    UNLISTED,
    fetched,
    file_name,
    read_hashes,
    to_fetch,
)
from duomem_jax.worlds.dialogues.locomo import read_locomo

A, B = "https://a.example/bicycle.jpg", "https://b.example/boat.png?size=large&x=[1]"
HOSTILE = [
    "https://a.example/../../etc/passwd",
    "../../x",
    "/etc/passwd",
    "https://a.example/" + "x" * 5000,
    "https://a.example/a\0b\nurl = file:///etc/passwd",
    "",
    "https://a.example/%2e%2e%2f",
    "C:\\x",
]


def write(path, *addresses):
    """LoCoMo's conversation with a turn more for each address."""
    talk = copy.deepcopy(CONVERSATION)
    said = talk["conversation"]["session_2"]
    said[0]["img_url"] = [A]
    said += [turn("Ben", f"D2:{i}", "Look!", img_url=[x]) for i, x in enumerate(addresses, 3)]
    path.write_text(json.dumps([talk]))
    return str(path)


def put(folder, address, data=None):
    folder.mkdir(exist_ok=True)
    if data is None:
        made_up((61, 43 + len(address))).save(folder / file_name(address), "JPEG")
    else:
        (folder / file_name(address)).write_bytes(data)
    return folder / file_name(address)


def test_turns_have_the_pictures_that_were_fetched(tmp_path):
    file = write(tmp_path / "in.json", B, A, "https://a.example/dead.jpg")
    folder = tmp_path / "fetched"
    data = put(folder, A).read_bytes(), put(folder, B).read_bytes()
    report = prepare(str(tmp_path / "talks"), file, pictures=str(folder))
    (talk,) = read_dialogues(tmp_path / "talks")
    shown = {t.id: t for _, t in talk.turns() if t.picture}
    assert list(shown) == ["D2:1", "D2:3", "D2:4"]
    assert shown["D2:1"].picture == shown["D2:4"].picture != shown["D2:3"].picture
    assert shown["D2:1"].caption == "a red bicycle"
    kept = {f.name: f.read_bytes() for f in (tmp_path / "talks/pictures").iterdir()}
    assert kept == dict(zip((shown["D2:1"].picture, shown["D2:3"].picture), data, strict=True))
    assert "3 of 4 pictures; 1 without a file, such as https-a-example-dead-jpg-" in str(report)
    assert "questions that rest on them: 4" in str(report)
    # Without pictures it is read as before.
    prepare(str(tmp_path / "plain"), file)
    assert not next(iter(read_dialogues(tmp_path / "plain"))).pictures()
    assert not (tmp_path / "plain/pictures.json").exists()


def test_what_dead_links_leave_is_counted_and_never_used(tmp_path):
    addresses = [f"https://a.example/{i}.jpg" for i in range(4)]
    made_up().save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    bomb = good[:16] + (30_000).to_bytes(4, "big") * 2 + good[24:]  # the size in its head
    folder = tmp_path / "fetched"
    for address, data in zip(addresses, (b"<html>gone", good[:900], bomb, b""), strict=True):
        put(folder, address, data)
    put(folder, A)
    found = fetched([A, A, *addresses, B], folder)
    assert set(found.names) == {A}
    assert found.missing == {**dict.fromkeys(addresses, NO_PICTURE), B: NO_FILE}
    assert found.told.startswith(
        f"2 of 7 pictures; 1 without a file, such as {file_name(B)}; 4 who"
    )


def test_a_list_of_hashes_gives_others_the_same_pictures_and_no_other_ones(tmp_path):
    file, folder = write(tmp_path / "in.json", B), tmp_path / "fetched"
    put(folder, A)
    prepare(str(tmp_path / "one"), file, pictures=str(folder))
    listed = tmp_path / "one/pictures.json"
    assert set(json.loads(listed.read_text())) == {A}
    put(folder, B)
    report = prepare(str(tmp_path / "two"), file, pictures=str(folder), hashes=str(listed))
    assert list(read_dialogues(tmp_path / "two")) == list(read_dialogues(tmp_path / "one"))
    assert f"1 {UNLISTED}, such as {file_name(B)}" in str(report)
    made_up().rotate(180).save(folder / file_name(A), "JPEG")
    sentence = rf"{file_name(A)}: is another picture than the list .* 1 of 1 are; fetch it again"
    with pytest.raises(UserError, match=sentence):
        prepare(str(tmp_path / "three"), file, pictures=str(folder), hashes=str(listed))
    assert not (tmp_path / "three").exists()
    # A page in its place is a dead link, as without a list.
    put(folder, A, b"<html>")
    assert fetched([A], folder, read_hashes(listed)).missing == {A: NO_PICTURE}


def test_a_folder_of_other_pictures_keeps_its_own(tmp_path):
    file, folder = write(tmp_path / "in.json"), tmp_path / "fetched"
    put(folder, A)
    prepare(str(tmp_path / "talks"), file, pictures=str(folder))
    before = (tmp_path / "talks/pictures.json").read_bytes()
    made_up().rotate(180).save(folder / file_name(A), "JPEG")
    with pytest.raises(UserError, match="choose another output folder"):
        prepare(str(tmp_path / "talks"), file, pictures=str(folder))
    assert len(list((tmp_path / "talks/pictures").iterdir())) == 1
    assert (tmp_path / "talks/pictures.json").read_bytes() == before


@pytest.mark.parametrize("address", HOSTILE, ids=range(len(HOSTILE)))
def test_no_address_leads_out_of_the_folder_or_out_of_its_line(address):
    assert re.fullmatch("[a-z0-9-]{1,100}", file_name(address))
    config, strange = to_fetch([address])
    for line in config.splitlines()[9:]:
        assert re.fullmatch(r'(url|output) = "[!#-\[\]-~]*"', line)
    assert strange == ([] if address.startswith("https://") else [address])


def test_the_config_names_only_what_is_missing_and_replaces_nothing_else(tmp_path):
    file, folder = write(tmp_path / "in.json", B, B, "data:image/png;base64,AA"), tmp_path / "f"
    said = pictures(str(folder), file)
    assert "0 of 4 pictures; 1 have no address in the web; `curl " in said
    assert (folder / "curl.txt").read_text().count("url = ") == 2
    put(folder, A)
    assert "1 of 4 pictures" in pictures(str(folder), file)
    assert (folder / "curl.txt").read_text().count("url = ") == 1
    put(folder, B)
    put(folder, "data:image/png;base64,AA")
    assert pictures(str(folder), file) == "4 of 4 pictures: nothing is missing"
    assert "url = " not in (folder / "curl.txt").read_text()
    (folder / "curl.txt").write_text("mine")
    with pytest.raises(UserError, match=r"curl\.txt: is something else"):
        pictures(str(folder), file)
    assert (folder / "curl.txt").read_text() == "mine"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_curl_fetches_what_is_there_under_the_names_that_are_read(tmp_path):
    (tmp_path / "web/of").mkdir(parents=True)
    made_up().save(tmp_path / "web/of/a [1] {x}.png")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        web = f"http://127.0.0.1:{server.server_port}"
        there, dead = f"{web}/of/a [1] {{x}}.png", f"{web}/dead.png"
        file = write(tmp_path / "in.json", there, dead)
        talk = json.loads((tmp_path / "in.json").read_text())
        del talk[0]["conversation"]["session_2"][0]["img_url"]
        (tmp_path / "in.json").write_text(json.dumps(talk))
        told = pictures(str(tmp_path / "f"), file)
        fetch = shlex.split(re.search("`(curl .*)`", told)[1])
        subprocess.run([*fetch, "--silent", "--noproxy", "*"], timeout=30, check=False)
    finally:
        server.shutdown()
        server.server_close()
    assert fetched([there, dead], tmp_path / "f").missing == {dead: NO_FILE}
    assert {f.name for f in (tmp_path / "f").iterdir()} == {"curl.txt", file_name(there)}


def test_links_are_read_and_respelt(tmp_path):
    file = write(tmp_path / "in.json", r"https://a.example/x?cs\u003dsrgb\u0026w=1", A)
    read = read_locomo(file)
    respelt = "https://a.example/x?cs=srgb&w=1"
    assert read.links == {"conv-42": {"D2:1": A, "D2:3": respelt, "D2:4": A}}
    assert read.repairs[locomo.ESCAPES] == 1
    talk = json.loads((tmp_path / "in.json").read_text())
    for links, beyond in (([A, B, B], 2), ([], 0)):
        talk[0]["conversation"]["session_2"][0]["img_url"] = links
        (tmp_path / "in.json").write_text(json.dumps(talk))
        read = read_locomo(file)
        assert read.links["conv-42"].get("D2:1", "") == (A if links else "")
        assert read.repairs.get(locomo.BEYOND, 0) == beyond
    for links, says in (("x", "text as img_url, not a list"), ([3], "not one of addresses")):
        talk[0]["conversation"]["session_2"][0]["img_url"] = links
        (tmp_path / "in.json").write_text(json.dumps(talk))
        with pytest.raises(UserError, match=rf"session_2\[0\] has .*{says}"):
            read_locomo(file)


def test_what_is_no_folder_and_no_list_is_refused(tmp_path):
    file = write(tmp_path / "in.json")
    with pytest.raises(UserError, match="no such folder; `duomem locomo pictures"):
        prepare(str(tmp_path / "out"), file, pictures=str(tmp_path / "none"))
    with pytest.raises(UserError, match="name their folder, --pictures"):
        prepare(str(tmp_path / "out"), file, hashes=file)
    for text in ("[]", '{"x": 1}', '{"x": "abc"}', "{"):
        (tmp_path / "hashes.json").write_text(text)
        with pytest.raises(UserError, match=r"hashes\.json: .*give pictures\.json of a folder"):
            read_hashes(tmp_path / "hashes.json")
    assert not (tmp_path / "out").exists()
