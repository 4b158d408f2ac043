# SPDX-License-Identifier: LGPL-2.1-or-later
"""The gaps between torpord's steps, held open: see daemon/base/stretch.h."""
import socket
import threading


class Gaps:
    """Listens at a path that TORPOR_STRETCH names. In the gaps that have been given something to do, torpord waits
    until that is done; through all others it goes at once. What is done must not ask torpord."""

    def __init__(self, path):
        self.path = str(path)
        self.doing = {}
        self.reached = []
        self.trouble = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(128)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection):
        with connection:
            gap = connection.makefile("rb").readline().split()[0].decode()
            self.reached.append(gap)
            try:
                if action := self.doing.pop(gap, None):
                    action()
            except Exception as error:  # pylint: disable=broad-except  # told by the test, in its own thread
                self.trouble.append((gap, error))
            connection.sendall(b"\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
