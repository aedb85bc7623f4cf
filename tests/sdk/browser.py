"""A page in headless Chromium, served on loopback; what it says when it is done comes back."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import unquote

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
)  # fmt: skip


def chromium() -> str:
    """The browser. Skips the test, visibly, where there is none."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found:
        pytest.skip("no Chromium on this machine: the browser is not tested here")
    return found


@contextmanager
def served(files: Mapping[str, bytes]) -> Iterator[tuple[str, Queue[str]]]:
    """The address of a site with these files, and what its pages report by asking for `/done…` or `/failed…`."""
    said: Queue[str] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in {"/done", "/failed"}:
                said.put(unquote(self.path))
            body = files.get(path)
            self.send_response(200 if body is not None else 204)
            self.send_header("content-type", "text/javascript" if path.endswith(".js") else "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def do_POST(self) -> None:
            said.put(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", said
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def visit(url: str, said: Queue[str], profile: Path, *flags: str, seconds: float = 40) -> str:
    """Open the page and wait until it says something."""
    browser = subprocess.Popen(
        [chromium(), *FLAGS, *flags, f"--user-data-dir={profile}", "--remote-debugging-port=0", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return said.get(timeout=seconds)
    except Empty:
        pytest.fail(f"the page said nothing in {seconds} s")
    finally:
        browser.terminate()
        browser.wait(timeout=10)
