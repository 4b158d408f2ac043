# SPDX-License-Identifier: LGPL-2.1-or-later
import platform
import time

count = 0


def app(environ, start_response):
    global count
    count += 1
    server = environ.get("SERVER_SOFTWARE") or "uWSGI/" + environ["uwsgi.version"].decode()
    body = f"version={platform.python_version()}\nserver={server}\ncount={count}\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    yield body[:1].encode()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    yield body[1:].encode()
