# SPDX-License-Identifier: MIT
"""A whole kiisrv for tests: state and run folders of its own, worker, executables and nginx, as the
users of production, on one engine. Stopping it asserts that nothing of it is left."""

import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.parse

from client import FILENAME, Operator, UnixConnection, Reply, ask, free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
PREFIX = pathlib.Path(os.environ.get("KIISRV_TEST_PREFIX", "/var/lib/kiisrv-test/prefix"))
TMP = pathlib.Path(os.environ.get("KIISRV_TEST_TMP", "/var/lib/kiisrv-test/api"))
PUBLIC = ("versions", "stats", "layouts", "jobs", "build", "health")
# Started where they are installed.
OPERATOR = ("containers", "images", "runtime", "audit", "operator")
LAYOUTS = PREFIX / "share/kiisrv/layouts"
# For tests of an executable that must be asked each time.
NO_CACHE = {"fastcgi_cache kiisrv;": "fastcgi_cache off;"}
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")


def wait_until(check, seconds=30, step=0.05):
    """The first true answer of `check`; AssertionError when there was none in time."""
    end = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {check}"
        time.sleep(step)


def as_user(user, groups=()):
    """The beginning of a command line that runs as `user`."""
    group = "--groups=" + ",".join(map(str, groups)) if groups else "--clear-groups"
    own = pwd.getpwnam(user).pw_gid
    return ["setpriv", "--reuid", user, "--regid", str(own), group]


class Engine:
    """The engine's own API, for looking at what kiisrv does with it."""

    def __init__(self, name, url):
        assert url.startswith("unix://"), url
        self.name = name
        self.url = url
        self.socket = url[len("unix://"):]

    @property
    def rootless(self):
        return os.stat(self.socket).st_uid != 0

    def ask(self, method, path, timeout=60, **query):
        if query:
            path += "?" + urllib.parse.urlencode(
                {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()})
        return ask(UnixConnection(self.socket, timeout), method, path)

    def post(self, path, document, timeout=60):
        return ask(UnixConnection(self.socket, timeout), "POST", path, json.dumps(document),
                   {"Content-Type": "application/json"})

    def all_containers(self, **query):
        """Running or not. A Podman that was killed over a removal tells of none in Docker's words."""
        reply = self.ask("GET", "/containers/json", all=1, **query)
        if reply.status == 500 and b"container not known" in reply.body:
            reply = self.ask("GET", "/v4.0.0/libpod/containers/json", all="true", **query)
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def working(self):
        """The containers of Podman's builder."""
        reply = self.ask("GET", "/v4.0.0/libpod/containers/json", all="true", external="true")
        assert reply.status == 200, reply
        return [c for c in json.loads(reply.body) if c["State"] == "storage"]

    def containers(self, instance):
        """All containers that carry this instance's label."""
        return self.all_containers(filters={"label": [f"kiisrv.instance={instance}"]})

    def volumes(self):
        reply = self.ask("GET", "/volumes")
        assert reply.status == 200, reply
        return {v["Name"] for v in json.loads(reply.body)["Volumes"] or []}

    def remove(self, container):
        return self.ask("DELETE", f"/containers/{container}", force=1, v=1)


class Process:
    """A child in a session of its own, with its output in a file."""

    def __init__(self, name, args, log, env=None):
        self.name = name
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
                start_new_session=True, env={**os.environ, **(env or {})})
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def kill(self, number=signal.SIGKILL):
        self.child.send_signal(number)

    def stop(self, seconds=20):
        """TERM, and its exit status; KILL to its whole session when it does not listen."""
        if self.alive():
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()


class Stack:
    count = 0
    tokens = 0

    def __init__(self, engine, conf=None, layouts=None, disk=None, nginx=None, env=None):
        """`conf`: {table: {key: value}} over the defaults; `layouts`: {file name: text} for /etc;
        `disk`: the size of one that the state folder has for itself, as "16m"; `nginx`:
        {text: other text} in the snippets, as an administrator might edit them; `env`: more of
        the environment for what speaks to the engine."""
        Stack.count += 1
        self.engine = engine
        self.group = os.stat(engine.socket).st_gid   # the socket may be away later
        self.env = env or {}
        self.root = TMP / f"s{Stack.count}"
        self.state = self.root / "state"
        self.unmount()
        shutil.rmtree(self.root, ignore_errors=True)
        self.run = self.root / "run"
        self.etc = self.root / "etc"
        self.nginx_dir = self.root / "nginx"
        self.logs = self.root / "log"
        self.processes = {}
        self.old_logs = []
        self.folder = "/"   # where the worker works
        for folder in (self.root, self.etc / "layouts", self.nginx_dir, self.logs):
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        for name, text in (layouts or {}).items():
            (self.etc / "layouts" / name).write_text(text)
        if disk:
            self.state.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "kiisrv-test",
                            self.state], check=True)
        subprocess.run(["bash", "-c", '. "$0"; make_users; make_folders "$1" "$2"',
                        TOP / "dev/lib.sh", self.state, self.run], check=True)
        self.write_conf(conf or {})
        self.port = free_port()
        self.write_nginx(nginx or {})
        self.volumes = engine.volumes()

    # --- files

    def write_conf(self, conf):
        tables = {
            "docker": {"runtime": self.engine.name, "socket_path": self.engine.socket,
                       "rootless": self.engine.rootless},
            "paths": {"state_dir": str(self.state), "run_dir": str(self.run),
                      "layouts": [str(self.etc / "layouts"), str(LAYOUTS)]},
            "limits": {"disk_floor": "64 MiB"},
            "firmware": {"git_refresh": 0},
        }
        for table, keys in conf.items():
            tables.setdefault(table, {}).update(keys)
        self.conf = self.etc / "kiisrv.toml"
        # Strings, numbers and lists of them are written in TOML as in JSON.
        self.conf.write_text("".join(
            f"[{table}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
            for table, keys in tables.items()))

    def write_nginx(self, edits):
        """The snippets as `make` fills them in, with this stack's paths."""
        paths = {"run_dir": self.run, "state_dir": self.state, "conf_dir": self.etc,
                 "data_dir": PREFIX / "share/kiisrv", "nginx_dir": self.nginx_dir}
        sources = {source: source.read_text() for source in (TOP / "nginx").glob("*.conf.in")}
        for old in edits:
            assert any(old in text for text in sources.values()), old
        for source, text in sources.items():
            for old, new in edits.items():
                text = text.replace(old, new)
            for name, path in paths.items():
                text = text.replace(f"@{name}@", str(path))
            text = text.replace("listen 127.0.0.1:3001", f"listen 127.0.0.1:{self.port}")
            (self.nginx_dir / source.name[:-3]).write_text(text)
        temp = "".join(f"{kind}_temp_path {self.nginx_dir}/{kind};\n" for kind in
                       ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        (self.nginx_dir / "nginx.conf").write_text(
            f"user www-data;\nworker_processes 2;\ndaemon off;\npid {self.nginx_dir}/pid;\n"
            "error_log stderr info;\nevents { worker_connections 1000; }\n"
            f"http {{\nsendfile on;\naccess_log {self.logs}/access.log;\n{temp}"
            f"include {self.nginx_dir}/kiisrv.conf;\n}}\n")

    def add_secret(self, name, text):
        """A file that the worker may read and the public may not; its folder, for paths.secrets."""
        folder = self.etc / "secrets"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(text)
        path.chmod(0o640)
        shutil.chown(path, "root", "kiisrv-engine")
        return str(folder)

    # --- processes

    def start(self):
        self.start_worker()
        for name in PUBLIC:
            self.start_public(name)
        self.spawn("nginx", ["nginx", "-e", "stderr", "-c", str(self.nginx_dir / "nginx.conf")])
        wait_until(self.answers, 30)
        return self

    def spawn(self, name, args, env=None):
        old = self.processes.get(name)
        assert old is None or not old.alive(), f"{name} runs already"
        if old:
            self.old_logs.append(old)
        number = sum(1 for p in self.old_logs if p.name == name)
        log = self.logs / (f"{name}.{number}.log" if number else f"{name}.log")
        self.processes[name] = Process(name, args, log, env)
        return self.processes[name]

    def start_worker(self, env=None, wait=True):
        worker = self.spawn(
            "worker", as_user("kiisrv-engine", [self.group]) + ["env", "-C", str(self.folder)] +
            [str(PREFIX / "libexec/kiisrv/kiisrv-worker"), "-c", str(self.conf)],
            {**self.env, **(env or {})})
        if wait:
            wait_until(lambda: self.worker_listens() or not worker.alive(), 30)
            assert worker.alive(), worker.text()
        return worker

    def worker_listens(self):
        return self.listens("worker/worker.sock")

    def serves(self, name):
        """Is the executable up? Its socket is there before it hears signals."""
        return "event=child_ready" in self.processes[name].text()

    def listens(self, name):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(str(self.run / name))
                return True
            except OSError:
                return False

    def start_public(self, name, env=None):
        return self.spawn(
            name, as_user("kiisrv") +
            ["spawn-fcgi", "-n", "-s", str(self.run / f"public/{name}.sock"), "-M", "0660",
             "-b", "4096", "-U", "kiisrv", "-G", "www-data", "--",
             str(PREFIX / "libexec/kiisrv" / name)],
            {"KIISRV_CONFIG": str(self.conf), **(env or {})})

    def start_operators(self):
        """The executables of the operator's zone; most tests have no need of them."""
        for name in OPERATOR:
            if name not in self.processes:
                self.start_operator(name)
        wait_until(lambda: all(self.serves(name) for name in OPERATOR), 60)

    def start_operator(self, name, env=None):
        return self.spawn(
            name, as_user("kiisrv-engine", [self.group, grp.getgrnam("www-data").gr_gid]) +
            ["spawn-fcgi", "-n", "-s", str(self.run / f"operator/{name}.sock"), "-M", "0660",
             "-b", "4096", "-U", "kiisrv-engine", "-G", "www-data", "--",
             str(PREFIX / "libexec/kiisrv" / name)],
            {"KIISRV_CONFIG": str(self.conf), **self.env, **(env or {})})

    @property
    def worker(self):
        return self.processes["worker"]

    def kill_worker(self):
        self.worker.kill()
        self.worker.child.wait()

    def answers(self):
        for process in self.processes.values():
            assert process.alive(), f"{process.name} has ended: {process.text()[-2000:]}"
        try:
            return (self.get("/versions").status == 200 and self.get("/layouts/").status == 200 and
                    self.get("/").status == 405 and self.get("/api/v1/jobs/x").status == 404)
        except OSError:
            return False

    def stop(self):
        """End everything, then assert that it ended well and that the engine is as before."""
        try:
            if self.processes.get("worker") and self.worker.alive():
                # The worker removes a container, then its volumes, after the answer.
                wait_until(lambda: not self.containers(), 60)
                wait_until(lambda: not self.engine.volumes() - self.volumes - {self.mirror()}, 20)
        finally:
            ends = {}
            for name in ("nginx", *reversed(OPERATOR), *reversed(PUBLIC), "worker"):
                if name in self.processes:
                    ends[name] = self.processes[name].stop()
            left = self.containers()
            for container in left:
                self.engine.remove(container["Id"])
            # It outlives the worker, and a state folder that goes takes nobody along.
            self.engine.ask("DELETE", f"/volumes/{self.mirror()}")
        self.unmount()
        assert not left, f"containers were left: {[c['Names'] for c in left]}"
        assert not self.engine.volumes() - self.volumes, "volumes were left"
        self.check_logs()
        for name, code in ends.items():
            assert code == 0, f"{name} ended with {code}: {self.processes[name].text()[-2000:]}"

    def unmount(self):
        while os.path.ismount(self.state):
            subprocess.run(["umount", "-l", self.state], check=True)

    def check_logs(self):
        for process in [*self.processes.values(), *self.old_logs]:
            found = SANITIZER.search(process.text())
            assert not found, f"{process.log}: {process.text()[max(found.start() - 200, 0):][:4000]}"

    # --- what tests ask

    def request(self, method, path, body=None, headers=None, timeout=120):
        import http.client
        return ask(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout),
                   method, path, body, headers)

    def get(self, path, headers=None, timeout=60):
        return self.request("GET", path, None, headers, timeout)

    def post(self, document, path="/download.php", headers=None, timeout=300):
        """A build request: a document, or bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", path, body, {
            "Content-Type": "application/json; charset=utf-8", **(headers or {})}, timeout)

    def build(self, config, env="latest", **more):
        return self.post({"env": env, "config": config}, **more)

    def ordered(self, name, *orders):
        """A request to the stand-in that does as it is told (tests/images/tiny/build.sh)."""
        config = self.layout("MD1-Standard")
        config["header"]["Author"] = name
        config["custom"] = {"0": "\n".join(f"//! {order}" for order in orders) + "\n"}
        return {"env": "v0.5.6", "config": config}

    def built(self, config, env="latest", success=True):
        """A build that must be answered: what the file name says, and the zip."""
        reply = self.build(config, env)
        assert reply.status == 200, reply
        told = reply.json
        assert told["success"] is success, (told, self.worker.text()[-3000:])
        return self.fetch(told["filename"])

    def fetch(self, filename):
        """What the client does with an answer: parse the name, get the file."""
        match = FILENAME.match(filename)
        assert match, filename
        zip_reply = self.get("/" + filename[2:])
        assert zip_reply.status == 200, zip_reply
        return match, zip_reply

    def layout(self, name):
        reply = self.get(f"/layouts/{name}.json")
        assert reply.status == 200, reply
        return reply.json

    def job(self, job):
        reply = self.get(f"/api/v1/jobs/{job}")
        assert reply.status == 200, reply
        return reply.json

    def wait_job(self, job, *states, seconds=120):
        states = states or ("succeeded", "failed", "timed_out", "cancelled", "lost")

        def there():
            told = self.job(job)
            return told if told["state"] in states else None
        return wait_until(there, seconds)

    def instance(self):
        file = self.state / "engine/instance"
        return file.read_text().strip() if file.exists() else "none"

    def mirror(self):
        """The volume that git's mirror lies in."""
        return f"kiisrv-{self.instance()}-git"

    def containers(self):
        return self.engine.containers(self.instance())

    def ctl(self, *args, code=0):
        """What kiisrvctl, run by root, prints."""
        done = subprocess.run([PREFIX / "sbin/kiisrvctl", "-c", self.conf, *args],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, (args, done)
        return done.stdout

    def operator(self, scopes="all"):
        """The operator's zone, entered with a new token of these scopes."""
        self.start_operators()
        Stack.tokens += 1
        name = f"t{Stack.tokens}"
        secret = self.ctl("token", "add", "--scope", scopes, name).strip()
        return Operator(self, name, secret)

    def sql(self, statement):
        """Rows of config.sqlite, likewise."""
        with sqlite3.connect(f"file:{self.state}/queue/config.sqlite?mode=ro", uri=True) as db:
            return db.execute(statement).fetchall()

    def jobs(self, what="*", where="1"):
        """Rows of jobs.sqlite, read as root behind the worker's back."""
        with sqlite3.connect(f"file:{self.state}/queue/jobs.sqlite?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            return db.execute(f"SELECT {what} FROM Jobs WHERE {where}").fetchall()
