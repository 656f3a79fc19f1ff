"""A page in a real browser: Qt's Chromium, without a screen and without a network."""

import json
import subprocess
import sys

import pytest

from duomem_jax.report.page import Block, Frame, write_page

pytestmark = pytest.mark.slow
pytest.importorskip("PySide6.QtWebEngineWidgets", reason="pip install pyside6-webengine")

BROWSER = """
import json, sys
from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

app = QApplication(sys.argv[:1])
view = QWebEngineView()

def answer(found):
    print(json.dumps(found))
    app.quit()

view.loadFinished.connect(lambda ok: view.page().runJavaScript(sys.argv[2], answer))
QTimer.singleShot(60000, lambda: app.exit(1))
view.load(QUrl.fromLocalFile(sys.argv[1]))
sys.exit(app.exec())
"""
SHOWN = "[...document.querySelectorAll('section:not(.later)')].length"


def evaluate(page, script):
    """The value of some JavaScript on a page."""
    flags = "--disable-gpu --no-sandbox --single-process"
    environment = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_CHROMIUM_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", BROWSER, str(page), script],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def page(tmp_path):
    frames = [Frame((Block("seen", "", f"step {i} <b>"),)) for i in range(5)]
    write_page(tmp_path / "page.html", "A game", frames)
    return tmp_path / "page.html"


def test_all_is_there_at_first_and_buttons_step_through_it(page):
    assert evaluate(page, SHOWN) == 5
    back = "document.getElementById('back').click();"
    assert evaluate(page, f"{back}{back}{SHOWN}") == 3
    assert evaluate(page, f"{back * 9}{SHOWN}") == 1
    assert evaluate(page, f"{back * 3}document.getElementById('on').click();{SHOWN}") == 3
    key = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));"
    assert evaluate(page, f"{key}document.getElementById('where').textContent") == "4 / 5"


def test_text_is_shown_as_it_was_written(page):
    text = evaluate(page, "document.querySelectorAll('.block')[4].textContent")
    assert text == "step 4 <b>"
    assert evaluate(page, "document.querySelectorAll('b').length") == 0
