"""Files from the internet, kept in a cache and known by their checksum."""

import hashlib
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import gdown
import requests
from gdown.exceptions import DownloadError, FileURLRetrievalError

from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.core.progress import progress

# figshare answers 403 to the user agents of download programs.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
TIMEOUT = (15, 60)  # seconds to connect, and to wait for more bytes
CHUNK = 1 << 16  # bytes; gdown has chunks of half a megabyte
PATIENCE = 60  # seconds to wait for a whole chunk, however a server drips
MAX_BYTES = 200 * 2**30  # no archive of photos has more
SPARE = 100 * 2**20  # bytes of the disk that a download leaves free
WAITS = (2, 8, 20)  # seconds before the second, third and fourth attempt at one mirror
PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))  # HTTP statuses that may pass

log = logging.getLogger(__name__)


class _MirrorFailed(Exception):
    """This mirror will not do; the message says why."""


class _TryAgain(_MirrorFailed):
    """The same mirror may do in a moment."""


def fetch(urls: list[str], sha256: str | None, cache: Path | str) -> Path:
    """Return the path of the file that `urls` all promise: the first that can be had counts.

    URLs are https://, http://, file:// (used where it lies) or gdrive:FILE_ID. Downloads are
    kept in the folder `cache` and used again while their checksum is `sha256`; one with
    another checksum is removed. Without a checksum, whatever comes is taken and its checksum
    logged. Transfers are watched by an alarm, which only the main thread can have. Raises
    FacefillError with the reason of every mirror's failure, or when `cache` cannot be written.
    """
    cache = Path(cache)
    try:
        return _fetch(urls, sha256, cache)
    except OSError as error:
        raise FacefillError(
            f"{cache}: cannot be written ({error.strerror}: {error.filename or 'while writing'});"
            " mend that or set `cache` in config.yaml to another folder"
        ) from error


def _fetch(urls: list[str], sha256: str | None, cache: Path) -> Path:
    reasons = []
    for url in urls:
        path = cache / cache_name(url, sha256)
        if not url.startswith("file://") and path.exists():
            try:
                _verify(path, sha256)
                log.info("%s: in the cache as %s", url, path)
                return path
            except _MirrorFailed as reason:
                log.warning("%s: removed from the cache: %s", path, reason)
                reasons.append(f"the cached file {path.name}: {reason}")
                path.unlink()
    for url in urls:
        try:
            if url.startswith("file://"):
                return _local(url, sha256)
            return _download(url, sha256, cache / cache_name(url, sha256))
        except _MirrorFailed as reason:
            log.info("%s: %s", url, reason)
            reasons.append(f"{url}: {reason}")
    by_hand = [url for url in urls if not url.startswith("file://")]
    remedy = "correct the dataset's urls or sha256"
    if by_hand:
        path = (cache / cache_name(by_hand[0], sha256)).resolve()
        remedy = f"run again later, or get the file yourself and save it as {path}"
    raise FacefillError(f"nothing could be downloaded ({'; '.join(reasons)}); {remedy}")


def cache_name(url: str, sha256: str | None) -> str:
    """Return the file name under which `url` is kept in the cache."""
    key = sha256 or hashlib.sha256(url.encode()).hexdigest()
    base = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return f"{key[:12]}-{re.sub(r'[^A-Za-z0-9._-]', '_', base)[-100:] or 'file'}"


def _local(url: str, sha256: str | None) -> Path:
    path = Path(unquote(url.removeprefix("file://").removeprefix("localhost")))
    if not path.is_absolute():
        raise _MirrorFailed("not a full path; write file:///folder/file")
    if not os.path.isfile(path):
        raise _MirrorFailed("no such file")
    _verify(path, sha256)
    return path


def _verify(path: Path, sha256: str | None) -> None:
    try:
        actual = sha256_file(path)
        with open(path, "rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise _MirrorFailed(f"cannot be read ({error.strerror})") from error
    if actual == sha256:
        return
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head)\b", start, re.IGNORECASE):
        raise _MirrorFailed("a web page instead of the file")
    if sha256 is not None:
        raise _MirrorFailed(f"wrong checksum: sha256 {actual}, expected {sha256}")
    log.warning("%s: not checked; to pin this very file, set sha256: %s", path, actual)


def _download(url: str, sha256: str | None, path: Path) -> Path:
    """Download to `path`, in several attempts; raises _MirrorFailed."""
    transfer = _from_drive if url.startswith("gdrive:") else _from_web
    # Mirrors of one checksum continue each other's file.
    partial = path.with_name(f"{path.name if sha256 is None else sha256[:12]}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    for wait in (*WAITS, None):
        log.info("downloading %s to %s", url, path)
        try:
            _attempt(transfer, url, sha256, partial)
            partial.replace(path)
            _discard(partial)
            return path
        except _TryAgain as reason:
            if wait is None:
                raise
            log.info("%s: %s; trying again in %s s", url, reason, wait)
            time.sleep(wait)
        except OSError:
            _discard(partial)  # it may be what has filled the disk
            raise


def _discard(partial: Path) -> None:
    """Remove what was begun; gdown appends something of its own to the name."""
    for path in partial.parent.glob(f"{partial.name}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink()


def _attempt(transfer: Callable, url: str, sha256: str | None, partial: Path) -> None:
    if sha256 is None:  # nothing would tell that pieces of two versions had been joined
        _discard(partial)
    resumed = any(partial.parent.glob(f"{partial.name}*"))
    try:
        with _failures(), _watch(partial) as arrived:
            transfer(url, partial, arrived)
    except _MirrorFailed:
        if sha256 is None or (partial.exists() and partial.stat().st_size == 0):
            _discard(partial)
        raise
    try:
        _verify(partial, sha256)
    except _MirrorFailed as reason:
        _discard(partial)
        raise (_TryAgain if resumed else _MirrorFailed)(str(reason)) from reason


@contextmanager
def _watch(partial: Path) -> Iterator[Callable[[int, int | None], None]]:
    """Yield what to call at every chunk, with the bytes there are and the bytes there will be.

    TimeoutError ends the block when no call comes for PATIENCE seconds: the timeout of requests
    begins anew at every byte. _MirrorFailed ends it when the disk or MAX_BYTES will not do.
    """

    def strike(*_) -> None:
        raise TimeoutError(f"stalled, next to nothing came in {PATIENCE} seconds")

    def arrived(done: int, total: int | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        bar.total = total
        bar.update(done - bar.n)
        if max(done, total or 0) > MAX_BYTES:
            _discard(partial)
            raise _MirrorFailed(f"more than {MAX_BYTES} bytes, too many for photos")
        if shutil.disk_usage(partial.parent).free < max(total or 0, done) - done + SPARE:
            if total is None:  # it may never end
                _discard(partial)
            raise _MirrorFailed(f"too large for the disk of {partial.parent}; free space there")

    former = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        with progress(0, "download", "B") as bar:
            bar.unit_scale = True
            yield arrived
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@contextmanager
def _failures() -> Iterator[None]:
    """Sort what can go wrong into what may pass and what will not."""
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        kind = _TryAgain if status in PASSING else _MirrorFailed
        raise kind(f"HTTP {status} {_plain(error.response.reason)}") from error
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        TimeoutError,
    ) as error:
        raise _TryAgain(_innermost(error)) from error
    # requests and gdown read headers of an answer without asking whether they make sense.
    except (requests.RequestException, DownloadError, LookupError, TypeError, ValueError) as error:
        raise _MirrorFailed(_innermost(error)) from error


def _innermost(error: BaseException) -> str:
    """Return the cause at the bottom, which says in a few words what the others wrap."""
    while error.__context__:
        error = error.__context__
    return f"{type(error).__name__}: {_plain(str(error))}"


def _plain(text: str) -> str:
    """Return what a server says without what could confuse a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:300]


def _from_web(url: str, partial: Path, arrived: Callable) -> None:
    """Append to `partial` what it lacks, or write it anew where the server sends all of it."""
    with open(partial, "ab") as file:
        start = file.tell()
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        answer = requests.get(
            url, headers=headers, stream=True, timeout=TIMEOUT, hooks={"response": _hang_up}
        )
        with answer as response:
            if response.status_code == 416:  # the server's file is no longer than ours
                file.truncate(0)
                raise _TryAgain("nothing follows on the part that was here")
            response.raise_for_status()
            if start and response.status_code != 206:
                file.truncate(0)
                start = 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            arrived(start, total)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                start += len(chunk)
                arrived(start, total)


def _hang_up(response: requests.Response, **_) -> None:
    """Leave a redirection unread: requests would take all of it into memory."""
    if response.is_redirect:
        response.close()


def _from_drive(url: str, partial: Path, arrived: Callable) -> None:
    """Let gdown get past Google Drive's questions; it goes on with what it began."""
    file = partial.with_name(f"{partial.name}.drive")
    try:
        gdown.download(
            id=url.removeprefix("gdrive:"),
            output=str(file),
            quiet=True,
            use_cookies=False,
            progress=arrived,
            timeout=TIMEOUT,
            resume=True,
        )
    except FileURLRetrievalError:
        raise
    except DownloadError as error:
        if error.__cause__ is None:  # the transfer did not break: what is here does not fit
            _discard(partial)
        raise _TryAgain(_innermost(error)) from error
    file.replace(partial)
