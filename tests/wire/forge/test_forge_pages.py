"""The pages: shown to who may see them, and nothing that somebody wrote does anything."""

from __future__ import annotations

import io
import re

import httpx
import pytest

from cdl.embedded.forge.pages.markdown import rendered
from tests.wire.forge.forges import token

DOT = "data:image/png;base64,iVBORw0KGgo="
NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "text <img src=x onerror=alert(1)> text",
    "<details onclick=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](data:text/html;base64,AAAA)",
    "<javascript:alert(1)>",
    "![a](data:image/svg+xml;base64,AAAA)",
    '![a"onerror="alert(1)](data:image/png;base64,AAAA)',
    '[a](https://x" onclick="alert(1))',
    "<style>*{display:none}</style>",
    "<iframe src=//x></iframe>",
    "<!-- --!> <script>alert(1)</script> -->",
    "<details <script>alert(1)</script>>",
]
TAG = re.compile(r"<(/?)([a-z0-9]+)((?:\s+[a-z]+=\"[^\"<>]*\")*)\s*/?>")
HARMLESS = {"div", "p", "a", "img", "details", "summary", "br", "ul", "li", "table", "tr", "td", "th", "thead", "tbody"}


@pytest.mark.parametrize("text", NASTY)
def test_what_somebody_wrote_does_nothing(text):
    shown = rendered(text, "team/cdl")
    rest = TAG.sub("", shown)
    assert "<" not in rest
    for _, name, attributes in TAG.findall(shown):
        assert name in HARMLESS
        given = dict(re.findall(r'([a-z]+)="([^"]*)"', attributes))
        assert given.keys() <= {"class", "href", "src", "alt", "rel", "loading"}
        assert not re.match(r"(?i)\s*(javascript|data:(?!image/png)|vbscript)", given.get("href", given.get("src", "")))


def test_tables_and_own_pictures_are_shown_and_others_are_links():
    text = f"<!-- cdl:note report -->\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![own]({DOT}) ![other](https://example.org/x.png)"
    shown = rendered(text, "team/cdl")
    assert "<td>2</td>" in shown
    assert f'<img src="{DOT}" alt="own"' in shown
    assert '<a href="https://example.org/x.png"' in shown
    assert "cdl:note" not in shown


def test_a_merge_request_is_shown_with_all_that_belongs_to_it(server, people, project, review):
    seen = project.mergerequests.get(review.iid)
    project.commits.get(review.sha, lazy=True).statuses.create(
        {"state": "failed", "name": "cdl/train", "description": "no <b>trial</b>", "target_url": "https://cdl.test/log"}
    )
    picture = project.upload("matrix.png", filedata=io.BytesIO(b"\x89PNG").read())
    seen.notes.create({"body": f"**Report**\n\n{picture['markdown']}"})
    seen.approve()
    url = f"{server.url}/{project.path_with_namespace}"
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(f"{url}/-/merge_requests/{review.iid}").status_code == 404
        assert browser.post(f"{server.url}/-/sign_in", data={"token": "wrong"}).status_code == 401
        evil = {"Origin": "https://evil.test"}
        assert browser.post(f"{server.url}/-/sign_in", data={"token": token("guest")}, headers=evil).status_code == 403
        assert (
            project.path_with_namespace in browser.post(f"{server.url}/-/sign_in", data={"token": token("guest")}).text
        )
        answer = browser.get(f"{url}/-/merge_requests/{review.iid}")
        page = answer.text
        for words in ("Widen the layer", "cdl/train", "no &lt;b&gt;trial&lt;/b&gt;", "<strong>Report</strong>"):
            assert words in page
        assert "this commit" in page
        assert "+units = 256" in page
        assert f'src="/{project.path_with_namespace}{picture["url"]}"' in page
        assert browser.get(f"{url}{picture['url']}").content == b"\x89PNG"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!cdl\.test)", page)
        assert "Initial commit" in browser.get(url).text
        assert "+units = 256" in browser.get(f"{url}/-/commit/{review.sha}").text
        assert browser.get(f"{url}/-/commit/none").status_code == 404
        browser.post(f"{server.url}/-/sign_out")
        assert browser.get(url).status_code == 404
