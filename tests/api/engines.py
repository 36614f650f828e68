# SPDX-License-Identifier: MIT
"""An engine of a test's own, everything of it below one folder, that may be killed."""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from stack import TMP, TOP, Engine, Process, wait_until


def processes():
    """{pid: (parent, command line)} of all that run."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            found[int(folder.name)] = (int(parent), line)
    return found


def descendants(roots, table):
    """These and all below them."""
    wanted = set(roots)
    while True:
        more = {pid for pid, (parent, _) in table.items() if parent in wanted} - wanted
        if not more:
            return wanted
        wanted |= more


def kill(pids):
    """Parents first: a shell would say something of its child's death."""
    pids = sorted(pids)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_until(lambda: not set(pids) & set(processes()), 20, 0.02)


class OwnEngine(Engine):
    count = 0

    def __init__(self, name, *flags):
        OwnEngine.count += 1
        self.dir = TMP / f"e{OwnEngine.count}"
        self.dir.mkdir(parents=True)
        super().__init__(name, f"unix://{self.dir}/{name}.sock")
        self.flags = flags
        self.process = None

    def start(self):
        for file in ("docker.pid", f"{self.name}.sock", "exec/containerd/containerd.pid"):
            (self.dir / file).unlink(missing_ok=True)
        command, env = self.docker() if self.name == "docker" else self.podman()
        self.process = Process(self.name, command, self.dir / "log", env)
        wait_until(self.answers, 60)
        if self.name == "podman":
            subprocess.run(["chgrp", "docker", self.socket], check=True)
            os.chmod(self.socket, 0o660)
        return self

    def docker(self):
        return ["dockerd", "--data-root", self.dir / "data", "--exec-root", self.dir / "exec",
                "-H", self.url, "-p", self.dir / "docker.pid", "--iptables=false",
                "--ip6tables=false", "--bridge=none", "--group", "docker", *self.flags], {}

    def podman(self):
        """As dev/lib.sh does."""
        files, procs = (resource.getrlimit(what)[1] % (1 << 64)
                        for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        files = min(files, 1048576)
        procs = min(procs, int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()))
        unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        lines = ["[containers]",
                 f'default_ulimits = ["nofile={files}:{files}", "nproc={procs}:{procs}"]',
                 "[engine]", f'runtime = "{"crun" if unified else "runc"}"',
                 'cgroup_manager = "cgroupfs"', 'events_logger = "file"', ""]
        (self.dir / "var-tmp").mkdir(exist_ok=True)
        conf = self.dir / "containers.conf"
        conf.write_text("\n".join(lines))
        return ["podman", "--root", self.dir / "data", "--runroot", self.dir / "run",
                "--tmpdir", self.dir / "tmp", "--network-config-dir", self.dir / "net",
                "system", "service", "--time=0", self.url], {
                    "CONTAINERS_CONF": str(conf), "TMPDIR": str(self.dir / "var-tmp")}

    def answers(self):
        assert self.process.alive(), self.process.text()[-2000:]
        try:
            return self.ask("GET", "/_ping", 5).status == 200
        except OSError:
            return False

    def load(self):
        """The image that does as it is told."""
        subprocess.run([TOP / "tests/images/make", "tiny", self.url], check=True,
                       stdout=subprocess.DEVNULL)
        return self

    def kill(self):
        """The engine itself, and what it started to be it. Containers are not asked."""
        table = processes()
        own = {pid for pid in descendants([self.process.pid], table)
               if re.match(r"\S*(dockerd|containerd|podman) ", table[pid][1])}
        kill(own)
        self.process.child.wait()

    def kill_all(self):
        """Its containers too."""
        table = processes()
        kill(descendants((pid for pid, (_, line) in table.items() if str(self.dir) in line),
                         table))
        self.process.child.wait()

    def lose_power(self):
        """All that runs is gone, and so is what it kept below /run."""
        self.kill_all()
        self.unmount()
        for folder in ("exec", "run", "tmp"):
            shutil.rmtree(self.dir / folder, ignore_errors=True)
        for container in self.dir.glob("data/overlay-containers/*/userdata"):
            for runtime in ("runc", "crun"):
                shutil.rmtree(f"/run/{runtime}/{container.parent.name}", ignore_errors=True)

    def unmount(self):
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.dir}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)

    def stop(self):
        """It and every trace of it."""
        if self.process.alive():
            for container in self.all_containers():
                self.remove(container["Id"])
        self.process.stop()
        self.kill_all()
        self.unmount()
        subprocess.run(["rm", "-rf", self.dir], check=True)
