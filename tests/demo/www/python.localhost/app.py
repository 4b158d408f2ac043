# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts its visitors, in memory."""
import platform
import threading

lock = threading.Lock()
visitors = 0


def app(environ, start_response):
    global visitors
    with lock:
        visitors += 1
        number = visitors
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"Python {platform.python_version()}, visitor {number}\n".encode()]
