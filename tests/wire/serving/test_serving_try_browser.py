"""The page at `/` in a real Chromium: written, drawn and filled in, on a desk and on a phone.

Needs Debian's chromium; `make test` leaves it out. PAGE_PICTURES=FOLDER keeps a picture of every page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.wire.serving.chromium import PROGRAM, Chromium
from tests.wire.serving.pages_release import IMAGE, TABLE, TEXT, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no chromium here; apt-get install chromium brings it"),
]
PICTURES = os.environ.get("PAGE_PICTURES", "")
DESK, PHONE = (1280, 800), (390, 844)


@pytest.fixture(params=["desk", "phone"])
def browser(request, tmp_path):
    opened = Chromium(tmp_path)
    opened.phone = request.param == "phone"
    opened.size(*(PHONE if opened.phone else DESK), phone=opened.phone)
    yield opened
    opened.close()


def opened(browser, server):
    browser.open(str(server.client.base_url) + "/")
    browser.until("!document.getElementById('ask').disabled")


def answered(browser):
    """Ask, wait, and give the classes with their probabilities, best first."""
    browser.run("document.getElementById('outputs').replaceChildren()")
    browser.click("#ask")
    browser.until("document.querySelector('#outputs tr') || !document.getElementById('trouble').hidden")
    assert browser.run("document.getElementById('trouble').hidden"), browser.text("#trouble")
    rows = browser.run("[...document.querySelectorAll('#outputs tr')].map(r => [...r.cells].map(c => c.textContent))")
    return [(row[0], float(row[-1].removesuffix(" %"))) for row in rows]


def check(browser, server, name):
    """What holds for every page: it says who answered and how fast, fits the width, and nothing was complained of."""
    facts = browser.text("#facts")
    reply = server.client.get("/v2/health/live")
    assert reply.headers["x-cdl-digest"] in facts
    assert reply.headers["x-cdl-release"] in facts
    assert re.search(r"\d+\.\d ms", facts)
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if PICTURES:
        browser.picture(Path(PICTURES) / f"{name}-{'phone' if browser.phone else 'desk'}.png")
    assert browser.complaints == []


def test_a_text_is_written_and_classified(browser, starter, tmp_path):
    server = served(starter, tmp_path / "text", TEXT)
    opened(browser, server)
    browser.write("#text", "A goal in the last minute, and what a goal it was")
    found = answered(browser)
    assert [name for name, _ in found] == ["<b>sport</b>", "business"]
    assert found[0][1] == pytest.approx(90.0)
    assert browser.run("document.querySelectorAll('#outputs b').length") == 0
    check(browser, server, "text")


def test_a_row_is_filled_in_and_classified(browser, starter, tmp_path):
    server = served(starter, tmp_path / "table", TABLE)
    opened(browser, server)
    assert all(name in browser.text("#fields") for name in ("length", "width", "weight"))
    browser.click("#ask")  # a browser asks for what is missing; nothing is sent
    assert browser.run("document.querySelectorAll('#outputs tr').length") == 0
    for number, value in enumerate(("0.5", "2.5", "-1")):
        browser.write(f"#cell-{number}", value)
    assert answered(browser)[0] == ("wide", pytest.approx(85.8, abs=0.1))
    check(browser, server, "table")


def test_a_picture_is_drawn_chosen_and_classified(browser, starter, tmp_path):
    from PIL import Image

    server = served(starter, tmp_path / "image", IMAGE)
    opened(browser, server)
    browser.draw("#paper", [(0.75, 0.2), (0.75, 0.5), (0.75, 0.8)], touch=browser.phone)
    assert answered(browser)[0][0] == "right"
    browser.click("#inverted")
    assert answered(browser)[0][0] == "left"
    browser.click("#inverted")

    file = tmp_path / "left.png"
    picture = Image.new("RGB", (300, 150))
    picture.paste((250, 40, 40), (0, 0, 100, 150))
    picture.save(file)
    browser.choose("#file", file)
    browser.until("document.getElementById('seen').getContext('2d').getImageData(2, 14, 1, 1).data[0] > 50")
    assert answered(browser)[0] == ("left", pytest.approx(100, abs=0.5))
    browser.click("#clear")
    assert answered(browser)[0][1] == pytest.approx(50)
    browser.draw("#paper", [(0.3, 0.2), (0.15, 0.5), (0.3, 0.8)], touch=browser.phone)
    assert answered(browser)[0][0] == "left"
    check(browser, server, "image")


def test_a_file_that_is_no_picture_and_a_refusal_are_one_sentence(browser, starter, tmp_path):
    server = served(starter, tmp_path / "image", IMAGE)
    opened(browser, server)
    file = tmp_path / "notes.txt"
    file.write_text("no picture")
    browser.choose("#file", file)
    browser.until("!document.getElementById('trouble').hidden")
    assert browser.text("#trouble") == "notes.txt is no picture that this browser can read."
    server.process.kill()
    server.process.wait()
    browser.click("#ask")
    browser.until("document.getElementById('trouble').textContent.includes('fetch')")
