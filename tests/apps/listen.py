# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Python site on the listener that it is given (LISTEN_FDS): the modules that a web framework brings, some data of
its own, and an answer that says how many there were."""
import asyncio  # noqa: F401
import decimal  # noqa: F401
import email.message  # noqa: F401
import http.server
import json
import logging.config  # noqa: F401
import socket
import sqlite3
import ssl  # noqa: F401
import xml.dom.minidom  # noqa: F401

DATA = {f"article-{number}": {"title": f"Article {number}", "text": "x" * 200} for number in range(10000)}
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
DATABASE.execute("CREATE TABLE article (name TEXT PRIMARY KEY, body TEXT)")
DATABASE.executemany("INSERT INTO article VALUES (?, ?)", ((name, json.dumps(body)) for name, body in DATA.items()))


class Handler(http.server.BaseHTTPRequestHandler):
    count = 0

    def do_GET(self):
        Handler.count += 1
        row = DATABASE.execute("SELECT body FROM article WHERE name = ?", (f"article-{Handler.count}",)).fetchone()
        body = json.dumps({"count": Handler.count, **json.loads(row[0])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.HTTPServer):
    def __init__(self):
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=3)


Server().serve_forever()
