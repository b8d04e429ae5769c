"""The server of a page on this machine alone: a gate before gradio's app, and uvicorn behind it.

Read: `Gate` is what every request passes: the right host, the right origin, the token of this start
(in the address once, in a cookie from then on), none of gradio's ways to fetch for somebody else;
what goes out carries a policy by which the page may load from here alone and runs no inline script
that was not there when it was served.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import socket
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

HOST = "127.0.0.1"
BODY = 64 * 2**20  # bytes of a request
SCRIPT = re.compile(rb"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.S | re.I)
# gradio fetches other addresses for whoever asks, and keeps a list of runs in the browser
CLOSED = re.compile(r"/(gradio_api/)?(proxy=|file=\s*https?:|runs\b|monitoring\b|vibe|deep_link)")
# unsafe-eval: the painting of masks compiles its shaders' code; no text of a page is ever run
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes};"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:;"
    " font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:;"
    " manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# what warns of itself, and the files of ours that it says it of: of use to its developers alone
WARNS = r"(gradio|gradio_client|starlette|fastapi|uvicorn|pydantic|genlab\.runs\.playground)\b"
FOREIGN = ("cross-site", "same-site")  # the second: a page of another port of this machine
App = Callable[[dict, Callable, Callable], Awaitable[None]]


class Gate:
    """ASGI: lets nobody to `app` but the browser that was given the token of this start."""

    def __init__(self, app: App, *, port: int, token: str) -> None:
        self.app, self.token = app, token
        self.cookie = f"genlab_play_{port}"  # cookies know no ports
        self.hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # gradio needs no websocket
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if refusal := self.refusal(scope, headers):
            await _answer(send, *refusal)
            return
        if (given := self.given(scope)) is not None:
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                await _answer(send, 403, "genlab play: this is not the token of this start")
                return
            cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            more = [("set-cookie", cookie), ("location", "/")]
            await _answer(send, 303, "", more)
            return
        if not self.known(headers.get("cookie", "")):
            await _answer(send, 403, "genlab play: open the address that the terminal shows")
            return
        await self.app(scope, receive, _Policed(send))

    def refusal(self, scope: dict, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request goes no further, whoever asks; None where it may."""
        if headers.get("host") not in self.hosts:  # a foreign name that leads here
            return 421, "genlab play: unknown host"
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return 403, "genlab play: another page's request"
        if headers.get("sec-fetch-site") in FOREIGN and scope["path"] != "/":
            return 403, "genlab play: another page's request"
        if CLOSED.match(scope["path"]):
            return 404, "genlab play: not here"
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > BODY:
            return 413, "genlab play: too large"
        return None

    def given(self, scope: dict) -> str | None:
        """The token in the address of the page."""
        words = parse_qs(scope["query_string"].decode("latin-1"))
        return words["token"][0] if scope["path"] == "/" and "token" in words else None

    def known(self, cookies: str) -> bool:
        try:
            morsel = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(
            morsel.value.encode(), self.token.encode()
        )


class _Policed:
    """`send` that gives each answer the policy, with the hashes of a page's own inline scripts."""

    def __init__(self, send: Callable) -> None:
        self.send, self.start, self.parts = send, None, []

    async def __call__(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if kind.startswith(b"text/html"):
                self.start = message  # its body is needed first
                return
            message = {**message, "headers": [*message["headers"], *_headers("")]}
        elif self.start is not None and message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            page = b"".join(self.parts)
            headers = [*self.start["headers"], *_headers(hashes_of(page))]
            await self.send({**self.start, "headers": headers})
            message = {"type": "http.response.body", "body": page}
        await self.send(message)


def hashes_of(page: bytes) -> str:
    """The inline scripts of a page as a policy names them."""
    found = (
        base64.b64encode(hashlib.sha256(m["text"]).digest()).decode()
        for m in SCRIPT.finditer(page)
        if b"src=" not in m["attributes"]
    )
    return " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(found))


def _headers(hashes: str) -> list[tuple[bytes, bytes]]:
    policy = POLICY.format(hashes=hashes)
    return [
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


async def _answer(
    send: Callable, status: int, text: str, more: list[tuple[str, str]] | None = None
) -> None:
    body = text.encode()
    headers = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
    raw = [(k.encode(), v.encode()) for k, v in [*headers, *(more or [])]]
    await send({"type": "http.response.start", "status": status, "headers": raw + _headers("")})
    await send({"type": "http.response.body", "body": body})


# --- gradio, kept to itself ----------------------------------------------------------------------


@contextlib.contextmanager
def alone() -> Iterator[Path]:
    """Within: gradio may be imported; it calls and warns nobody, its files go with a folder.

    What the environment says of gradio holds no longer: it could open folders or share the page.
    """
    for key in [k for k in os.environ if k.startswith("GRADIO_")]:
        del os.environ[key]
    with tempfile.TemporaryDirectory(prefix="genlab_play_") as folder:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": folder,
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        from PIL import Image

        from genlab.data.decode import PIXELS

        # gradio opens pictures itself; at twice that Pillow refuses, as `opened` does
        Image.MAX_IMAGE_PIXELS = PIXELS // 2
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=WARNS)
            yield Path(folder)


def listen(port: int) -> socket.socket:
    """A socket on this machine alone; port 0 takes a free one."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
    except OSError:
        server.close()
        raise
    return server


def new_token() -> str:
    return secrets.token_urlsafe(24)


def serve(app: Any, server: socket.socket, token: str) -> None:
    """Serve until it is stopped."""
    import uvicorn

    gate = Gate(app, port=server.getsockname()[1], token=token)
    config = uvicorn.Config(
        gate, log_level="critical", access_log=False, timeout_graceful_shutdown=2,
        server_header=False, ws="none",
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[server])
