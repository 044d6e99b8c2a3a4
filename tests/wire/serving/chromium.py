"""A real Chromium without a window, spoken to over two pipes: no port to guess, no driver to install."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_SECONDS = 60


class Chromium:
    """One browser with one page."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        arguments += [f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank"]
        # The browser reads its orders from descriptor 3 and answers on 4.
        shell = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", shell, "pipes", str(to_read), str(to_write), PROGRAM, *arguments],
                pass_fds=(to_read, to_write),
                stdout=log,
                stderr=log,
            )
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest = 0, b""
        self.complaints: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the page."""
        return self._call(method, self._session, **params)

    def size(self, width: int, height: int, *, phone: bool) -> None:
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.tell("Emulation.setTouchEmulationEnabled", enabled=phone)

    def open(self, address: str) -> None:
        self.tell("Page.navigate", url=address)
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """Evaluate in the page; what is thrown there fails the test here."""
        answer = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until something is so in the page."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never so: {expression}; the page says {self.text('body')!r}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Bring an element into view; give its left, top, width and height."""
        seen = "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
        found = f"const e = document.querySelector({json.dumps(selector)});"
        return tuple(self.run(f"(() => {{{found}{seen} return [b.left, b.top, b.width, b.height]}})()"))

    def click(self, selector: str) -> None:
        left, top, width, height = self.box(selector)
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": left + width / 2, "y": top + height / 2}
            self.tell("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def write(self, selector: str, text: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.tell("Input.insertText", text=text)

    def draw(self, selector: str, points: list[tuple[float, float]], *, touch: bool) -> None:
        """Draw a line through points given as shares of the element's width and height."""
        left, top, width, height = self.box(selector)
        path = [{"x": left + x * width, "y": top + y * height} for x, y in points]
        if touch:
            for kind, at in (("touchStart", path[0]), *(("touchMove", at) for at in path[1:])):
                self.tell("Input.dispatchTouchEvent", type=kind, touchPoints=[at])
            self.tell("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        self.tell("Input.dispatchMouseEvent", type="mousePressed", button="left", buttons=1, clickCount=1, **path[0])
        for at in path[1:]:
            self.tell("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, **at)
        self.tell("Input.dispatchMouseEvent", type="mouseReleased", button="left", clickCount=1, **path[-1])

    def choose(self, selector: str, file: Path) -> None:
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        data = self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        os.close(self._to)  # the browser ends with its orders
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    # -- the wire: JSON messages, a NUL after each --------------------------------------------------------------------

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._heard(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], WAIT_SECONDS)
            assert ready, "the browser says nothing"
            part = os.read(self._from, 1 << 16)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _heard(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        if event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(params["entry"]["text"])
