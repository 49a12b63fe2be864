"""The web server of the demo: this machine's programs only, and of these only our own page.

It listens on the loopback interface. A page of another site could still reach it through the
visitor's browser, so a request must name this machine as its host (against DNS rebinding) and, if
the browser says where it comes from, come from our own page. A link elsewhere may open the page,
which tells its site nothing; what the page may ask for stays closed to others.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from firstspike.demo.api import LONGEST, Api, Request

PAGE = Path(__file__).parent / "page"
ADDRESS = "127.0.0.1"
PATIENCE = 30  # seconds until a connection that says nothing is closed

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(ThreadingTCPServer):
    """Serves the page and its functions until it is closed.

    Args:
        port: to listen on; 0 for any that is free.
        api: the functions.

    Raises:
        ValueError: the port cannot be had.
    """

    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is in use
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, port: int, api: Api) -> None:
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port must be between 0 and {(1 << 16) - 1}, got {port}")
        self.api = api
        self.files = {f"/{file.name}": file for file in PAGE.iterdir() if file.suffix in _TYPES}
        self.files["/"] = self.files.pop("/index.html")
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"port {port}: cannot be had: {reason}; choose another, or 0 for any free one"
            ) from None
        self.port: int = self.server_address[1]
        self.hosts = {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}
        if self.port == 80:
            self.hosts |= {ADDRESS, "localhost"}  # browsers leave the usual port out

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about browsers that hang up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        if not (self._is_followed_link() or self._is_ours()):
            return
        file = self.server.files.get(urlsplit(self.path).path)
        if file is None:
            self._answer(b"")
        else:
            self._send(HTTPStatus.OK, _TYPES[file.suffix], file.read_bytes())

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the request does not tell its length")
        elif int(length) > LONGEST:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the file is too large; give one of {LONGEST // 10**6} MB at most",
            )
        else:
            self._answer(self.rfile.read(int(length)))

    def _is_followed_link(self) -> bool:
        """Whether somebody opens the page itself in a window, wherever its address stands."""
        opened = self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest")
        return (
            opened == ("navigate", "document")
            and self.headers.get("Host", "") in self.server.hosts
            and urlsplit(self.path).path == "/"
        )

    def _is_ours(self) -> bool:
        """Whether the request comes from our page or no page at all; it is refused if not."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        local = host in self.server.hosts
        if local and origin in (None, f"http://{host}") and site in ("none", "same-origin"):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"open {self.server.url} instead")
        return False

    def _answer(self, body: bytes) -> None:
        """Call the function that the request names."""
        parts = urlsplit(self.path)
        function = self.server.api.routes.get((self.command, parts.path))
        if function is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        try:
            result = function(Request(dict(parse_qsl(parts.query)), body))
        except ValueError as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except Exception:
            traceback.print_exc()
            fault = "something is wrong with the demo; its terminal says what"
            self._send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": fault})
        else:
            self._send_json(HTTPStatus.OK, result)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Say no and hang up: what else the client sends is not read."""
        self.close_connection = True
        self._send_json(status, {"error": reason})

    def _send_json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        content = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        self._send(status, "application/json", content)

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "firstspike"

    def log_message(self, *_: Any) -> None:
        """Requests are nobody's business."""
