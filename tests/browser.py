"""A headless Chromium, driven over WebDriver with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
MISSING = "needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Page:
    """A page in the browser."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, path: Path) -> None:
        """Load a file."""
        _post(f"{self._session}/url", {"url": path.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return _post(f"{self._session}/execute/sync", {"script": script, "args": []})

    def command(self, name: str, **params: Any) -> Any:
        """A command of the DevTools protocol."""
        return _post(f"{self._session}/goog/cdp/execute", {"cmd": name, "params": params})

    def console(self) -> list[str]:
        """What was logged since the last call."""
        entries = _post(f"{self._session}/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def opened(width: int, height: int, scale: float = 1.0) -> Iterator[Page]:
    """A fresh browser with a viewport of this size."""
    assert CHROMIUM
    assert DRIVER
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "driver.log"
        with (
            log.open("w") as output,
            subprocess.Popen([DRIVER, "--port=0"], stdout=output, stderr=output) as driver,
        ):
            try:
                address = f"http://127.0.0.1:{_port(log)}/session"
                options = {
                    "binary": CHROMIUM,
                    "args": [*_ARGUMENTS, f"--user-data-dir={profile}/profile"],
                }
                wanted = {
                    "browserName": "chrome",
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"browser": "ALL"},
                }
                made = _post(address, {"capabilities": {"alwaysMatch": wanted}})
                page = Page(f"{address}/{made['sessionId']}")
                page.command(
                    "Emulation.setDeviceMetricsOverride",
                    width=width,
                    height=height,
                    deviceScaleFactor=scale,
                    mobile=width < 600,
                )
                yield page
                _send(urllib.request.Request(page._session, method="DELETE"))  # noqa: S310
            finally:
                driver.terminate()


def _port(log: Path) -> int:
    for _ in range(200):
        found = re.search(r"started successfully on port (\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"chromedriver did not start: {log.read_text()}")


def _post(url: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    return _send(urllib.request.Request(url, data, {"Content-Type": "application/json"}))  # noqa: S310


def _send(request: urllib.request.Request) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - to this machine
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(error.read().decode()) from None
