# SPDX-License-Identifier: MIT
"""An engine over TCP with TLS: certificates made on the spot, and a proxy in front of its socket
that wants the client's certificate, as dockerd --tlsverify does."""

import pathlib
import select
import shutil
import socket
import ssl
import subprocess
import threading


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=60)


class Authority:
    """A CA in a folder, and what it has signed."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o755)
        self.cert = self.folder / "ca.pem"
        self.key = self.folder / "ca-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=kiisrv test", "-days", "2", "-keyout", self.key, "-out", self.cert)

    def issue(self, name, names="IP:127.0.0.1"):
        """A folder as DOCKER_CERT_PATH has it: ca.pem, cert.pem, key.pem; all may read it."""
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        request, extra = folder / "request", folder / "extra"
        extra.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", folder / "key.pem", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", "2",
                "-CAcreateserial", "-extfile", extra, "-out", folder / "cert.pem")
        shutil.copy(self.cert, folder / "ca.pem")
        for file in folder.iterdir():
            file.chmod(0o644)
        return folder


class Proxy:
    """A thread a connection: TLS outside, the engine's socket inside."""

    def __init__(self, certs, path):
        self.path = path
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
        self.context.load_verify_locations(certs / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.served = 0
        self.refused = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        inner = socket.socket(socket.AF_UNIX)
        try:
            outer = self.context.wrap_socket(client, server_side=True)
        except (OSError, ssl.SSLError):
            self.refused += 1
            client.close()
            return
        self.served += 1
        try:
            inner.connect(self.path)
            self.copy(outer, inner)
        except OSError:
            pass
        finally:
            outer.close()
            inner.close()

    @staticmethod
    def copy(outer, inner):
        """Until the first of them ends: HTTP ends its connections itself."""
        while True:
            ready = [outer] if outer.pending() else select.select([outer, inner], [], [], 300)[0]
            for side, other in ((outer, inner), (inner, outer)):
                if side not in ready:
                    continue
                data = side.recv(65536)
                if not data:
                    return
                other.sendall(data)
            if not ready:
                return

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)
