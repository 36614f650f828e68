# SPDX-License-Identifier: MIT
"""A Unix socket in front of an engine's that hangs up when it has seen what it waits for."""

import os
import pathlib
import socket
import threading

from stack import TMP


class Cut:
    """`cut(text)`: the request with this text reaches the engine, its answer nobody; from then on
    the engine is away, until `mend()`."""

    def __init__(self, engine):
        self.engine = engine
        self.path = str(TMP / f"cut-{engine.name}.sock")
        pathlib.Path(self.path).unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chown(self.path, -1, os.stat(engine.socket).st_gid)
        os.chmod(self.path, 0o660)
        self.listener.listen(64)
        self.wanted = None
        self.away = False
        self.seen = threading.Event()
        self.lock = threading.Lock()
        self.open = []
        threading.Thread(target=self.run, daemon=True).start()

    @property
    def url(self):
        return f"unix://{self.path}"

    def cut(self, text):
        self.seen.clear()
        self.wanted = text

    def mend(self):
        self.away = False

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.engine.socket)
            self.open.append((client, engine))
            threading.Thread(target=self.forward, args=(client, engine), daemon=True).start()
            threading.Thread(target=self.back, args=(client, engine), daemon=True).start()

    def forward(self, client, engine):
        try:
            while data := client.recv(65536):
                if self.wanted and self.wanted in data.decode(errors="replace"):
                    self.wanted = None
                    self.away = True
                engine.sendall(data)   # and what may follow: a body comes by itself at times
        except OSError:
            pass

    def back(self, client, engine):
        try:
            while data := engine.recv(65536):
                if self.away:
                    break   # the engine has done it
                client.sendall(data)
        except OSError:
            pass
        if self.away:
            self.hang_up()
        client.close()
        engine.close()

    def hang_up(self):
        """All that is open ends at once; what is opened later is not meant."""
        with self.lock:
            if self.seen.is_set():
                return
            self.seen.set()
            pairs, self.open = self.open, []
        for each in [each for pair in pairs for each in pair]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
