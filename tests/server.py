"""A web server on this machine that behaves as badly as a test wants."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

HTML = b"\n<!DOCTYPE html><html><head><title>Sorry</title></head></html>"
# As Google Drive asks before a large file, and as it says that there is no more for today.
FORM = b"""<html><form id="download-form" action="https://drive.usercontent.google.com/confirmed">
<input type="hidden" name="confirm" value="t"></form></html>""".replace(b"\n", b"")
QUOTA = (
    b'<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file'
    b" recently. Please try accessing the file again later.</p></html>"
)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path[1:].partition("?")[0]
        self.server.requests.append((name, self.headers["Range"]))
        self.server.pages[name](self)

    def answer(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.begin(status, **{"Content_Length": str(len(data)), **headers})
        self.wfile.write(data)

    def begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Answers /name as `pages[name]` does; `requests` lists (name, Range header)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Callable[[Handler], None]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, *_):
        """The other side may hang up."""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def as_google_drive(server: Server, monkeypatch) -> None:
    """Let gdown, as it is, ask `server` instead of Google."""
    real = requests.Session.request

    def local(self, method, url, **rest):
        return real(self, method, re.sub(r"https://drive\.[a-z.]+/", server.url(""), url), **rest)

    monkeypatch.setattr(requests.Session, "request", local)


# What a page may do.


def sends(data: bytes, status: int = 200, **headers: str):
    return lambda handler: handler.answer(data, status, **headers)


def in_turn(*pages):
    """The first request gets the first page, and so on; the last page stays."""
    pages = list(pages)
    return lambda handler: (pages.pop(0) if len(pages) > 1 else pages[0])(handler)


def breaks(data: bytes, after: int, **headers: str):
    """Announce all and hang up after some."""
    return lambda handler: handler.answer(
        data[:after], **{"Content_Length": str(len(data)), **headers}
    )


def drips(data: bytes, after: int, **headers: str):
    """Announce all, send some, and then a byte now and then."""

    def page(handler):
        handler.begin(**{"Content_Length": str(len(data)), **headers})
        handler.wfile.write(data[:after])
        for byte in data[after:]:
            handler.wfile.write(bytes([byte]))
            if handler.server.closing.wait(0.05):
                return

    return page


def never_ends(handler: Handler, status: int = 200, **headers: str) -> None:
    """Send zeros, as fast as they are taken."""
    handler.begin(status, **headers)
    while not handler.server.closing.is_set():
        handler.wfile.write(bytes(1 << 20))


def with_ranges(data: bytes, **headers: str):
    def page(handler):
        if start := int(re.sub(r"\D", "", handler.headers["Range"] or "0")):
            if start >= len(data):
                handler.answer(b"", 416)
                return
            place = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.answer(data[start:], 206, Content_Range=place, **headers)
        else:
            handler.answer(data, **headers)

    return page
