# SPDX-License-Identifier: MIT
"""A gate between the worker and its engine: it can stop a call on its way, before the engine sees it
or behind the first bytes of the answer, so that something is killed exactly there."""

import os
import re
import socket
import threading

HEAD_END = b"\r\n\r\n"


class Hold:
    """One call that is to be stopped. `behind`: so many bytes of the answer have passed; None: the
    engine has not seen the call."""

    def __init__(self, pattern, behind):
        self.pattern = re.compile(pattern)
        self.behind = behind
        self.call = None
        self.reached = threading.Event()
        self.decided = threading.Event()
        self.is_cut = False

    def wait(self, seconds=60):
        assert self.reached.wait(seconds), f"no call was {self.pattern.pattern}"
        return self.call

    def go(self):
        self.decided.set()

    def cut(self):
        """Both ends find the connection closed."""
        self.is_cut = True
        self.decided.set()

    def stop_here(self, call):
        self.call = call
        self.reached.set()
        self.decided.wait()
        return not self.is_cut


class Link:
    """One connection of a client, and its counterpart at the engine."""

    def __init__(self, gate, client):
        self.gate = gate
        self.client = client
        self.engine = socket.socket(socket.AF_UNIX)
        self.answer_hold = None
        self.passed = 0

    def run(self):
        try:
            self.engine.connect(self.gate.engine)
            threading.Thread(target=self.answers, daemon=True).start()
            self.requests()
        except OSError:
            pass
        finally:
            self.put_back()
            self.close()

    def close(self):
        for end in (self.client, self.engine):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self):
        """A client sends its next request when it has the whole answer to the last one."""
        data = b""
        while True:
            while HEAD_END not in data:
                part = self.client.recv(65536)
                if not part:
                    return
                data += part
            head, _, data = data.partition(HEAD_END)
            if not self.admit(head.split(b"\r\n", 1)[0].decode()):
                return
            self.engine.sendall(head + HEAD_END)
            if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
                data = self.chunks(data)
                continue
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            left = int(length[1]) if length else 0
            while left:
                part = data[:left] or self.client.recv(min(left, 65536))
                if not part:
                    return
                data = data[len(part):]
                left -= len(part)
                self.engine.sendall(part)

    def chunks(self, data):
        """A body without a length to its end; what came behind that."""
        while True:
            while b"\r\n" not in data:
                data += self.more()
            size = int(data.partition(b"\r\n")[0], 16)
            length = data.index(b"\r\n") + 2 + size + 2
            while len(data) < length:
                data += self.more()
            self.engine.sendall(data[:length])
            data = data[length:]
            if not size:
                return data

    def more(self):
        part = self.client.recv(65536)
        if not part:
            raise OSError("the client has gone")
        return part

    def put_back(self):
        """An answer was shorter than it had to be: the next one will do."""
        if self.answer_hold:
            self.gate.put_back(self.answer_hold)
        self.answer_hold = None

    def admit(self, line):
        method, path, _ = line.split(" ", 2)
        call = f"{method} {re.sub('^/v[0-9.]+', '', path)}"
        self.put_back()
        hold = self.gate.take(call)
        self.passed = 0
        self.answer_hold = hold if hold and hold.behind is not None else None
        if hold and hold.behind is None:
            return hold.stop_here(call)
        if hold:
            hold.call = call
        return True

    def answers(self):
        try:
            while True:
                part = self.engine.recv(65536)
                if not part:
                    break
                hold = self.answer_hold
                if hold and self.passed + len(part) > hold.behind:
                    self.answer_hold = None
                    first = hold.behind - self.passed
                    self.client.sendall(part[:first])
                    if not hold.stop_here(hold.call):
                        break
                    part = part[first:]
                    self.passed += first
                self.client.sendall(part)
                self.passed += len(part)
        except OSError:
            pass
        self.close()


class Gate:
    """Serves at `path` what the engine serves at `engine`."""

    def __init__(self, path, engine, group):
        self.path = str(path)
        self.engine = engine
        self.lock = threading.Lock()
        self.holds = []      # not reached yet
        self.made = []       # all of them
        self.calls = []
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        os.chown(self.path, 0, group)
        os.chmod(self.path, 0o660)
        self.listener.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=Link(self, client).run, daemon=True).start()

    def hold(self, pattern, behind=None):
        """Stop the next call ("GET /path?query", without the version) that matches, once."""
        hold = Hold(pattern, behind)
        with self.lock:
            self.holds.append(hold)
            self.made.append(hold)
        return hold

    def take(self, call):
        with self.lock:
            self.calls.append(call)
            for hold in self.holds:
                if hold.pattern.search(call):
                    self.holds.remove(hold)
                    return hold
        return None

    def put_back(self, hold):
        with self.lock:
            if hold in self.made and not hold.reached.is_set():
                self.holds.append(hold)

    def open(self):
        """Nothing is stopped any more."""
        with self.lock:
            self.holds = []
            waiting, self.made = self.made, []
        for hold in waiting:
            hold.go()

    def close(self):
        self.open()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
