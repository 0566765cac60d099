"""Chromium without a network: the page as it stands after loading, what it asked for, and a picture of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

WIDTH, HEIGHT = 1240, 900
_OFFLINE = (
    "--headless",
    "--no-sandbox",  # tests may run as root, where Chromium's sandbox refuses to start
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_ITSELF = "not an origin"
"""Who asks, in Chromium's network log, when it is the browser and no page."""


def chromium() -> str:
    """Return the browser, or say how to install it."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("There is no Chromium. Debian and Ubuntu: apt-get install chromium")
    return found


def dumped(page: Path, folder: Path) -> tuple[str, list[str]]:
    """Open a page; return its document after loading and the addresses that were asked for, files left out."""
    log = folder / f"{page.stem}-requests.json"
    dom = _run(page, folder, "--dump-dom", f"--log-net-log={log}")
    return dom, _asked(log)


def photographed(page: Path, target: Path, folder: Path, height: int = HEIGHT) -> Path:
    """Take a picture of a page at the usual width."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _run(page, folder, f"--screenshot={target}", f"--window-size={WIDTH},{height}")
    return target


def height_of(page: Path, folder: Path) -> int:
    """Return how high a page is at the usual width, by a copy of it that measures itself."""
    script = "<script>document.title = 'height ' + document.documentElement.scrollHeight</script></body>"
    copy = folder / f"{page.stem}-measured.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    dom = _run(copy, folder, "--dump-dom", f"--window-size={WIDTH},{HEIGHT}")
    return int(dom.partition("<title>height ")[2].partition("</title>")[0])


def _run(page: Path, folder: Path, *how: str) -> str:
    command = [chromium(), *_OFFLINE, f"--user-data-dir={folder / 'profile'}", *how, page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{page}: Chromium ended with {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout


def _asked(log: Path) -> list[str]:
    """Return the addresses that the page, not Chromium for itself, asked for, but files and what is in the page."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    found = [
        e["params"] for e in events if e.get("params", {}).get("initiator", _ITSELF) != _ITSELF and "url" in e["params"]
    ]
    return sorted({str(p["url"]) for p in found if not str(p["url"]).startswith(("file:", "data:"))})
