"""The board's server: who may ask, and what every reply says to the browser.

Read: `application`. A token comes in the first address and is exchanged for a cookie; the name that
a browser asked for must be this machine's (DNS rebinding); there are GET routes alone, and none
takes a path. Starlette and uvicorn are the extra `board`.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.runs.live.answers import Board, Unknown
from genlab.runs.live.export import ASSETS, asset, export, page
from genlab.runs.say.errors import UserError

PORT, TRIES = 8642, 20  # the port, and how many after it are tried where none is asked for
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " media-src data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
MISSING = (
    "`genlab board` needs starlette and uvicorn: pip install 'genlab[board]'"
    " (with export=FILE it needs neither)"
)


def application(board: Board, token: str, host: str, port: int) -> Any:
    """The ASGI application: `token` opens it, `host` is the address that it is bound to."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def home(request: Request) -> Response:
        return Response(page(), media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return Response("not found", status_code=404, media_type="text/plain")
        return Response(asset(name), media_type=ASSETS[name])

    async def runs(request: Request) -> Response:
        asked = request.query_params
        since = int(asked["since"]) if asked.get("since", "").isdigit() else 0
        text = await run_in_threadpool(board.index.changes, since, asked.get("boot", ""))
        board.index.opening(done=True)
        return Response(text, media_type="application/json")

    async def ask(request: Request) -> Response:
        question, asked = request.path_params["question"], dict(request.query_params)
        try:
            return JSONResponse(await run_in_threadpool(board.answer, question, asked))
        except (Unknown, UserError, ValueError, OSError) as error:
            return JSONResponse({"problem": str(error)[:500]}, status_code=404)

    async def save(request: Request) -> Response:
        view = request.query_params.get("view", "")
        text = await run_in_threadpool(export, board, view)
        headers = {"Content-Disposition": 'attachment; filename="board.html"'}
        return Response(text, media_type="text/html", headers=headers)

    routes = [
        Route("/", home), Route("/static/{name}", static), Route("/api/runs", runs),
        Route("/api/{question}", ask), Route("/export", save),
    ]  # fmt: skip
    middleware = [
        Middleware(Guard, board=board, token=token, host=host, cookie=f"genlab_board_{port}"),
        Middleware(GZipMiddleware, minimum_size=2000, compresslevel=3),
    ]
    return Starlette(routes=routes, middleware=middleware)


class Guard:
    """In front of every route: the host's name, then the token; and headers on every reply."""

    def __init__(self, app: Any, *, board: Board, token: str, host: str, cookie: str) -> None:
        self.app, self.token, self.host, self.cookie = app, token, host, cookie
        self.index = board.index
        self.session = secrets.token_urlsafe(32)  # the cookie's: the address's token is not kept

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse, RedirectResponse

        if scope["type"] != "http":
            return
        request = Request(scope)

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        app: Any = self.app
        if not is_own_name(request.headers.get("host", ""), self.host):
            app = PlainTextResponse(
                "this name is not the board's: open the address it printed", 421
            )
        elif request.method not in ("GET", "HEAD"):
            app = PlainTextResponse("the board is read alone", 405)
        elif request.url.path == "/" and same(request.query_params.get("token", ""), self.token):
            app = RedirectResponse("/", 303)  # the token leaves the address bar
            app.set_cookie(self.cookie, self.session, httponly=True, samesite="strict", path="/")
        elif not same(request.cookies.get(self.cookie, ""), self.session):
            app = PlainTextResponse(
                "open the address that `genlab board` printed, token and all", 403
            )
        if request.url.path == "/":
            self.index.opening()
        with self.index.answering():
            await app(scope, receive, with_headers)


def same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def is_own_name(header: str, host: str) -> bool:
    """Whether a Host header names this board: another name's page may not read it.

    Its port is not asked for: an ssh tunnel has one of its own. A number cannot be rebound.
    """
    name = header.rpartition(":")[0] if not header.endswith("]") and ":" in header else header
    name = name.strip("[]").lower()
    if name in ("localhost", host.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not is_loopback(host) and name in (socket.gethostname().lower(), socket.getfqdn())
    return address.is_loopback or not is_loopback(host)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int | None) -> socket.socket:
    """A socket that listens; a port that was not asked for may be one of the next."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [port] if port is not None else range(PORT, PORT + TRIES):
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, number))
            bound.listen(128)  # before its address is told
            return bound
        except OSError as error:
            bound.close()
            problem = error
    raise UserError(f"host={host} port={port or PORT}: {problem.strerror}; port=0 takes a free one")


def serve(root: Path, settings: Mapping[str, Any], told: Any) -> None:
    """Serve until interrupted; `told` is given the address once it listens."""
    try:
        import uvicorn
        from starlette.applications import Starlette  # noqa: F401 (told before anything is bound)
    except ImportError:
        raise UserError(MISSING) from None
    host = settings["host"]
    board, bound = Board(root), bind(host, settings["port"])
    port, token = bound.getsockname()[1], secrets.token_urlsafe(24)
    sys.setswitchinterval(0.001)  # a reply is not kept waiting by threads that read
    board.index.start()
    app = application(board, token, host, port)
    for name in ASSETS:
        asset(name)  # made once, before anybody waits for it
    config = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, date_header=False,
        lifespan="off", ws="none", http="h11", loop="asyncio", timeout_graceful_shutdown=1,
        proxy_headers=False,
    )  # fmt: skip
    name = f"[{host}]" if ":" in host else socket.gethostname() if host == "0.0.0.0" else host
    told(f"http://{name}:{port}/?token={token}")
    try:
        uvicorn.Server(config).run(sockets=[bound])
    finally:
        board.index.stop()
