# SPDX-License-Identifier: MIT
"""A Debian of its own: a container that boots systemd, with the engine's socket mounted."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))

from stack import Engine, wait_until  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
TMP = pathlib.Path(os.environ.get("KIISRV_TEST_TMP", "/var/lib/kiisrv-test/package"))
LAYOUT = TOP / "layouts/MD1-Standard.json"


class Load:
    """Clients in the machine's network, until it is ended."""

    def __init__(self, machine):
        self.child = subprocess.Popen(
            ["nsenter", "-t", str(machine.pid), "-n", "/usr/bin/python3", HERE / "load.py", "3001",
             LAYOUT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "started\n"

    def end(self):
        out, _ = self.child.communicate(timeout=180)
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class Machine:
    count = 0

    def __init__(self, url, debs, engine_dir):
        """`engine_dir` is the folder of the engine's socket: one that the engine makes anew after
        a restart is seen too. It becomes /engine, which /run/docker.sock leads to."""
        Machine.count += 1
        self.env = {**os.environ, "DOCKER_HOST": url}
        self.name = f"kiisrv-test-machine-{os.getpid()}-{Machine.count}"
        self.engine_dir = pathlib.Path(engine_dir)
        self.debs = debs
        self.docker("run", "--detach", "--name", self.name, "--hostname", "machine",
                    "--network", "none", "--stop-signal", "SIGRTMIN+3", "--cap-add", "SYS_ADMIN",
                    "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined",
                    "--security-opt", "apparmor=unconfined", "--tmpfs", "/run",
                    "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "--cgroupns", "host",
                    "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
                    "--volume", f"{self.engine_dir}:/engine", "--volume", f"{debs}:/debs:ro",
                    "kiisrv-test-debian")
        self.pid = int(self.docker("inspect", "--format", "{{.State.Pid}}", self.name))
        wait_until(lambda: self.run("systemctl is-system-running").stdout.strip()
                   in ("running", "degraded"), 60, 0.2)

    def docker(self, *args):
        done = subprocess.run(["docker", *args], env=self.env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def remove(self):
        self.docker("rm", "--force", "--volumes", self.name)

    def run(self, command, timeout=120):
        return subprocess.run(
            ["docker", "exec", "--env", "LC_ALL=C.UTF-8", "--env", "DEBIAN_FRONTEND=noninteractive",
             self.name, "sh", "-c", command], env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False)

    def sh(self, command, timeout=120):
        """What a command prints; it has to succeed."""
        done = self.run(command, timeout)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, command):
        """What a command that has to fail says."""
        done = self.run(command)
        assert done.returncode != 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def give_engine(self, socket="docker.sock", group=True):
        """As if Docker were installed: its socket, and the group that it belongs to."""
        self.sh(f"ln -sfn /engine/{socket} /run/docker.sock")
        if group:
            self.sh(f"getent group docker >/dev/null || "
                    f"groupadd -g $(stat -c %g /engine/{socket}) docker")

    def install(self, deb, options=""):
        """What apt and the package's scripts say."""
        done = self.run(f"apt-get -q -y {options} install --allow-downgrades /debs/{deb.name}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def purge(self):
        return self.sh("apt-get -q -y purge kiisrv 2>&1")

    # --- what it looks like

    def get(self, path, host="localhost:3001"):
        """Status and body."""
        out = self.run(f"curl -s -w '\\n%{{http_code}}' 'http://{host}{path}'").stdout
        body, _, status = out.rpartition("\n")
        return int(status or 0), body

    def answers(self, path="/versions"):
        return self.get(path)[0] == 200

    def active(self, unit="kiisrv"):
        return self.run(f"systemctl is-active {unit}").stdout.strip()

    def show(self, unit, what):
        return self.sh(f"systemctl show --value -p {what} {unit}").strip()

    def journal(self, unit, since):
        return self.sh(f"journalctl --no-pager -o cat --since @{since} -u '{unit}'")

    def now(self):
        """For `journal`."""
        return f"{time.time():.3f}"

    def reasons(self):
        """What /healthz has to complain of, but for images, which nobody promised."""
        return [r for r in json.loads(self.get("/healthz")[1])["reasons"]
                if not r.startswith("images:")]

    def units(self):
        """Those of the package that run."""
        out = self.sh("systemctl list-units --plain --no-legend --state=active 'kiisrv*'")
        return {line.split()[0] for line in out.splitlines()}

    def instance(self):
        return self.sh("cat /var/lib/kiisrv/engine/instance")

    def build(self, env="latest", orders="", name="a test", path="/download.php"):
        """The client's way: the answer's status and body."""
        layout = json.loads(LAYOUT.read_text())
        layout["header"]["Author"] = name
        if orders:
            layout["custom"] = {"0": orders}
        done = subprocess.run(
            ["docker", "exec", "--interactive", self.name, "curl", "-s", "-w", "\n%{http_code}",
             "-H", "Content-Type: application/json", "--data-binary", "@-",
             f"http://localhost:3001{path}"], env=self.env, check=True, text=True,
            input=json.dumps({"env": env, "config": layout}), capture_output=True, timeout=300)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def programs(self):
        """What lies where each of its processes was started from; " (deleted)" where nothing."""
        found = []
        inside = os.readlink(f"/proc/{self.pid}/ns/pid")
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(folder / "ns/pid") == inside:
                    found.append(os.readlink(folder / "exe"))
            except OSError:
                continue
        return found

    def files(self):
        """Every file, but for those that a running system or dpkg itself writes."""
        skip = ("/proc", "/sys", "/dev", "/run", "/tmp", "/engine", "/debs", "/var/log",
                "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd/timers",
                "/var/lib/systemd/deb-systemd-helper-masked", "/var/tmp", "/etc/passwd-",
                "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock",
                "/etc/subuid-", "/etc/subgid-", "/var/lib/systemd/random-seed",
                "/var/lib/systemd/catalog", "/var/lib/nginx", "/var/lib/private",
                "/var/lib/systemd/coredump")
        prune = " -o ".join(f"-path '{p}'" for p in skip)
        return set(self.sh(f"find / \\( {prune} \\) -prune -o -print").splitlines())

    def accounts(self):
        return set(self.sh("getent passwd; getent group").splitlines())


def engine_of(url):
    return Engine("docker", url)


def own_containers(engine, instance):
    reply = engine.ask("GET", "/containers/json", all=1,
                       filters={"label": [f"kiisrv.instance={instance}"]})
    assert reply.status == 200, reply
    return json.loads(reply.body)


def own_volumes(engine, instance):
    return [v for v in engine.volumes() if v.startswith(f"kiisrv-{instance}-")]


def repacked(deb, version, out, edit=None):
    """The same package under another version, perhaps with edited files."""
    folder = out / f"repack-{version}"
    subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(),
                              flags=re.M))
    if edit:
        edit(folder)
    target = out / f"kiisrv_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", folder, target], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", folder], check=True)
    return target
