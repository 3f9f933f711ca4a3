"""A small web framework on the standard library: routes, forms, JSON, static files."""

import json
import os
import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["App", "Redirect", "Request", "escape"]

TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".png": "image/png", ".svg": "image/svg+xml"}


class Request:
    def __init__(self, method, path, query, form):
        self.method = method
        self.path = path
        self.query = query
        self.form = form


class Redirect:
    def __init__(self, location):
        self.location = location


class App:
    def __init__(self, static="static"):
        self.routes = {}
        self.static = os.path.realpath(static)

    def get(self, path):
        return self._route("GET", path)

    def post(self, path):
        return self._route("POST", path)

    def redirect(self, location):
        return Redirect(location)

    def run(self, port=8000):
        app = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                app._answer(self)

            do_POST = do_GET

            def log_message(self, format, *args):
                print(format % args, flush=True)

        print(f"Listening on port {port}", flush=True)
        ThreadingHTTPServer(("", port), Handler).serve_forever()

    def _route(self, method, path):
        def register(handler):
            self.routes[method, path] = handler
            return handler

        return register

    def _answer(self, http):
        url = urlsplit(http.path)
        path = unquote(url.path)
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0)).decode()
        request = Request(http.command, path, dict(parse_qsl(url.query)), dict(parse_qsl(body)))
        handler = self.routes.get((http.command, path))
        if handler is not None:
            try:
                result = handler(request)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                self._send(http, 500, "text/plain", b"Internal server error\n")
                return
            self._send_result(http, result)
        elif http.command == "GET" and (file := self._static_file(path)):
            kind = TYPES.get(os.path.splitext(file)[1], "application/octet-stream")
            with open(file, "rb") as opened:
                self._send(http, 200, kind, opened.read())
        else:
            self._send(http, 404, "text/plain", b"Not found\n")

    def _static_file(self, path):
        if not path.startswith("/static/"):
            return None
        file = os.path.realpath(os.path.join(self.static, path.removeprefix("/static/")))
        is_inside = file.startswith(self.static + os.sep)
        return file if is_inside and os.path.isfile(file) else None

    def _send_result(self, http, result):
        if isinstance(result, Redirect):
            self._send(http, 303, "text/plain", b"", location=result.location)
        elif isinstance(result, str):
            self._send(http, 200, "text/html; charset=utf-8", result.encode())
        else:
            self._send(http, 200, "application/json", json.dumps(result).encode())

    def _send(self, http, status, kind, body, location=None):
        http.send_response(status)
        http.send_header("Content-Type", kind)
        http.send_header("Content-Length", str(len(body)))
        if location:
            http.send_header("Location", location)
        http.end_headers()
        http.wfile.write(body)
