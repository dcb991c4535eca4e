"""A server on this machine that records who asks it for what."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def listening(files=None):
    """Serve files, by their paths; yields the server's URL and the list of connections to it."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def setup(self):
            requests.append("connection")
            super().setup()

        def do_GET(self):
            requests.append(self.path)
            content = (files or {}).get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_POST = do_CONNECT = do_GET  # noqa: N815  # as http.server calls them

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()
