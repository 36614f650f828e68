# SPDX-License-Identifier: MIT
"""Plans, really built and run: small projects that download nothing, on base images made from
Debian's packages (tests/images/make plan), which stand for all that the configuration names."""

import io
import json
import os
import re
import struct
import subprocess
import tarfile
import urllib.parse

import pytest

from client import UnixConnection, ask
from stack import PREFIX, TMP

BASE = "kiisrv-test-languages:latest"
LONG = "kiisrv-test-languages-long:latest"
NAMES = ("composer debian dotnet go java jre maven nginx node node-run php python python-run ruby "
         "ruby-run rust").split()
# What a value of a variable may hold, and what a shell or a Dockerfile would make of it.
NASTY = "a\"b\\c$d ${e} `f` 'g' #h \\"
# Asks inside the container, which has no network but its own.
PROBE = """
import sys, time, urllib.request, urllib.error
for i in range(200):
    try:
        sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
        break
    except urllib.error.HTTPError as e:
        sys.stdout.write(str(e.code))
        break
    except OSError:
        time.sleep(0.1)
"""


class Builder:
    """Builds plans on an engine and forgets what it has made there."""

    def __init__(self, engine, folder, base):
        self.engine = engine
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        told = self.call("GET", f"/v1.41/images/{base}/json")
        assert told.status == 200, f"no {base}: tests/images/make plan; ./dev/test api makes it"
        self.base_id = json.loads(told.body)["Id"].rpartition(":")[2]
        self.images = []
        self.containers = []
        self.conf = folder / "kiisrv.toml"
        self.conf.write_text("[images]\n" + "".join(
            f'{name} = "{base}"\n' for name in NAMES if name not in ("dotnet", "java")))

    def call(self, method, path, body=None, timeout=120, kind="application/json"):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return ask(UnixConnection(self.engine.socket, timeout), method, path, body,
                   {"Content-Type": kind} if body is not None else {})

    def plan(self, project, *args):
        """The Dockerfile for these files, by kiisrvctl."""
        source = self.folder / "project"
        subprocess.run(["rm", "-rf", source], check=True)
        for path, text in project.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        done = subprocess.run([PREFIX / "sbin/kiisrvctl", "-c", self.conf, "plan", "--dockerfile",
                               *args, source], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def build(self, project, *args):
        """The image's name."""
        dockerfile = self.plan(project, *args)
        name = f"kiisrv-test-plan-{os.getpid()}-{len(self.images)}:latest"
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for path, text in {**project, "Dockerfile": dockerfile}.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(text.encode())
                entry.mode = 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))
        query = urllib.parse.urlencode({"t": name, "rm": 1, "forcerm": 1, "version": 1})
        reply = self.call("POST", f"/v1.41/build?{query}", context.getvalue(), 300,
                          "application/x-tar")
        lines = [json.loads(line) for line in reply.text.splitlines() if line]
        said = "".join(line.get("stream", "") for line in lines)
        # Each step's image, stages included: the engine would keep those that have no name.
        self.images += [image for image in re.findall(r"-+> ([0-9a-f]{11,64})", said)
                        if not self.base_id.startswith(image)]
        self.images.append(name)
        errors = [line for line in lines if "error" in line]
        assert reply.status == 200 and not errors, f"{errors}\n{said[-3000:]}\n{dockerfile}"
        return name

    def run(self, image, **more):
        """A running container: without capabilities, unless the image's user is root."""
        reply = self.call("POST", "/v1.41/containers/create", {
            "Image": image, "HostConfig": {
                "NetworkMode": "none", "Init": True, "Memory": 512 << 20,
                "SecurityOpt": ["no-new-privileges"], "CapDrop": ["ALL"], **more}})
        assert reply.status == 201, reply
        container = json.loads(reply.body)["Id"]
        self.containers.append(container)
        reply = self.call("POST", f"/v1.41/containers/{container}/start")
        assert reply.status in (204, 304), reply
        return container

    def within(self, container, *command):
        """What a command inside a container prints."""
        reply = self.call("POST", f"/v1.41/containers/{container}/exec",
                          {"Cmd": command, "AttachStdout": True, "AttachStderr": True})
        assert reply.status == 201, (reply, self.log(container))
        reply = self.call("POST", f"/v1.41/exec/{json.loads(reply.body)['Id']}/start",
                          {"Detach": False, "Tty": False})
        return frames(reply.body)

    def get(self, container, path="/", port=8080):
        told = self.within(container, "python3", "-c", PROBE, f"http://127.0.0.1:{port}{path}")
        assert told, self.log(container)
        return told

    def log(self, container):
        return frames(self.call(
            "GET", f"/v1.41/containers/{container}/logs?stdout=1&stderr=1").body)

    def forget(self):
        for container in self.containers:
            self.call("DELETE", f"/v1.41/containers/{container}?force=1&v=1")
        for image in reversed(self.images):
            self.call("DELETE", f"/v1.41/images/{image}")


def frames(data):
    """The payload of multiplexed frames."""
    text = b""
    while len(data) >= 8:
        size = struct.unpack(">I", data[4:8])[0]
        text += data[8:8 + size]
        data = data[8 + size:]
    return text.decode(errors="replace")


def builder_of(engine, base):
    return Builder(engine, TMP / f"plan-{engine.name}", base)


@pytest.fixture
def builder(engine):
    made = builder_of(engine, BASE)
    try:
        yield made
    finally:
        made.forget()


@pytest.fixture
def long_builder(engine):
    if not os.environ.get("KIISRV_TEST_LONG"):
        pytest.skip("a long one: KIISRV_TEST_LONG")
    made = builder_of(engine, LONG)
    try:
        yield made
    finally:
        made.forget()


LOCK = json.dumps({"name": "x", "lockfileVersion": 3, "packages": {"": {"name": "x"}}})


def test_node(builder):
    image = builder.build({
        "package.json": json.dumps({"name": "x", "scripts": {
            "build": "printf %s \"$A\" >built", "start": "node server.js"}}),
        "package-lock.json": LOCK,
        "server.js": """
const fs = require('fs')
require('http').createServer((q, a) => a.end(JSON.stringify({
    built: fs.readFileSync('built', 'utf8'), a: process.env.A, uid: process.getuid(),
    node: process.env.NODE_ENV, home: process.env.HOME }))).listen(process.env.PORT)
""",
    }, "--env", f"A={NASTY}")
    told = json.loads(builder.get(builder.run(image)))
    assert told == {"built": NASTY, "a": NASTY, "uid": 1000, "node": "production",
                    "home": "/app"}


def test_commands_of_a_project_are_data(builder):
    """Quotes, here-documents, line ends and expansions of a command, as its shell sees them."""
    image = builder.build({
        "nixpacks.json": json.dumps({
            "phases": {"build": {"cmds": [
                "cat <<'EOF' >one\na \"b\" $c \\\nRUN touch /evil\nEOF\ntest -s one",
                "printf '%s' \"$A\" >two"]}},
            "start": {"cmd": "python3 -c 'print(open(\"one\").read(), open(\"two\").read())' && "
                             "python3 -m http.server --bind 127.0.0.1 \"$PORT\""}}),
        "start.sh": "",
    }, "--env", f"A={NASTY}", "--env", "PORT=3000")
    container = builder.run(image)
    assert builder.get(container, "/one", 3000) == 'a "b" $c \\\nRUN touch /evil\n'
    assert builder.get(container, "/two", 3000) == NASTY
    assert builder.within(container, "ls", "/evil").startswith("ls: cannot access")


def test_python(builder):
    image = builder.build({
        "requirements.txt": "# nothing\n",
        "app/__init__.py": "",
        "Procfile": "release: false\nweb: python3 -m app.web --port=$PORT\n",
        "app/web.py": """
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{sys.prefix} {os.getuid()} {sys.argv[1]} {os.getpid()}".encode())
http.server.HTTPServer(("", int(os.environ["PORT"])), H).serve_forever()
""",
    })
    told = builder.get(builder.run(image, Init=False))
    # It has its virtual environment, is a plain user, and is the container's process itself.
    assert told == "/opt/venv 1000 --port=8080 1"


def test_php(builder):
    image = builder.build({
        "public/index.php": "<?php echo posix_getuid(), ' ', getenv('A'), ' ', "
                            "$_SERVER['REQUEST_URI'];",
        "public/.env": "SECRET",
        "index.php": "<?php echo 'wrong';",
    }, "--env", "A=b c")
    container = builder.run(image)
    assert builder.get(container) == "33 b c /"
    assert builder.get(container, "/some/where?x=1") == "33 b c /some/where?x=1"
    assert builder.get(container, "/.env") == "403"


def test_go(builder):
    image = builder.build({
        "go.mod": "module example.com/x\n\ngo 1.19\n",
        "cmd/x/main.go": """package main

import (
	"net"
	"os"
	"strconv"
)

func main() {
	listener, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	for err == nil {
		conn, _ := listener.Accept()
		conn.Read(make([]byte, 4096))
		conn.Write([]byte("HTTP/1.0 200 OK\\r\\n\\r\\ngo " + strconv.Itoa(os.Getuid())))
		conn.Close()
	}
}
""",
    })
    assert builder.get(builder.run(image)) == "go 1000"


def test_a_site_that_node_builds(builder):
    image = builder.build({
        "package.json": json.dumps({"name": "x", "scripts": {
            "build": "mkdir -p out && echo built >out/index.html && echo x >out/a.js"}}),
        "package-lock.json": LOCK,
    }, "--env", "NIXPACKS_SPA_OUT_DIR=out")
    container = builder.run(image)
    assert builder.get(container) == "built\n"
    assert builder.get(container, "/any/where") == "built\n"
    assert builder.get(container, "/a.js") == "x\n"
    users = builder.within(container, "sh", "-c", "stat -c %u /proc/[0-9]*")
    assert set(users.split()) == {"1000"}, users
    # The port is the container's affair.
    assert "@PORT@" in builder.within(container, "cat", "/etc/kiisrv/nginx.conf")


def test_files_as_they_are(builder):
    image = builder.build({"index.html": "hello\n", "about.html": "about\n", ".git/x": "y",
                           "404.html": "none\n"})
    container = builder.run(image)
    assert builder.get(container) == "hello\n"
    assert builder.get(container, "/about") == "about\n"
    assert builder.get(container, "/nothing") == "404"
    assert builder.get(container, "/.git/x") == "404"


def test_the_static_buildpack(builder):
    """nginx as its image has it: its master is root, which needs the engine's usual rights."""
    image = builder.build({
        "package.json": json.dumps({"name": "x", "scripts": {
            "build": "mkdir dist && echo site >dist/index.html && echo two >dist/two.html"}}),
        "package-lock.json": LOCK,
    }, "--static", "--build", "npm run build", "--output-dir", "dist")
    container = builder.run(image, CapDrop=[])
    assert builder.get(container, port=80) == "site\n"
    assert builder.get(container, "/two", 80) == "two\n"
    assert builder.get(container, "/three", 80) == "404"


def test_the_static_buildpack_of_a_single_page(builder):
    if not os.environ.get("KIISRV_TEST_LONG"):
        pytest.skip("a long one: KIISRV_TEST_LONG")
    image = builder.build({"index.html": "page\n", "a.js": "x\n"}, "--static", "--spa",
                          "--output-dir", ".")
    container = builder.run(image, CapDrop=[])
    assert builder.get(container, "/any/where", 80) == "page\n"
    assert builder.get(container, "/a.js", 80) == "x\n"


def test_the_static_buildpack_with_an_nginx_file(builder):
    image = builder.build({
        "conf/site.conf": "server { listen 80; root /usr/share/nginx/html; "
                          "location /ping { return 200 pong; } }\n",
        "www/index.html": "plain\n",
    }, "--static", "--output-dir", "www", "--nginx-config", "conf/site.conf")
    container = builder.run(image, CapDrop=[])
    assert builder.get(container, port=80) == "plain\n"
    assert builder.get(container, "/ping", 80) == "pong"


def test_node_beside_another_language(builder):
    image = builder.build({
        "package.json": json.dumps({"name": "x", "scripts": {"build": "echo asset >asset.txt"}}),
        "package-lock.json": LOCK,
        "main.py": "import http.server, os\n"
                   "http.server.test(http.server.SimpleHTTPRequestHandler, "
                   "port=int(os.environ['PORT']))\n",
    })
    assert builder.get(builder.run(image), "/asset.txt") == "asset\n"


def test_rust(long_builder):
    image = long_builder.build({
        "Cargo.toml": '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2021"\n',
        "Cargo.lock": 'version = 3\n\n[[package]]\nname = "hello"\nversion = "0.1.0"\n',
        "src/main.rs": """
use std::io::{Read, Write};
fn main() {
    let port = std::env::var("PORT").unwrap();
    let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\\r\\n\\r\\nrust");
    }
}
""",
    })
    assert long_builder.get(long_builder.run(image)) == "rust"


def test_ruby(long_builder):
    image = long_builder.build({
        "Gemfile": 'source "https://rubygems.org"\n',
        "app.rb": """
require "socket"
server = TCPServer.new(ENV["PORT"].to_i)
loop do
  client = server.accept
  client.readpartial(1024)
  client.write("HTTP/1.0 200 OK\\r\\n\\r\\nruby #{Process.uid}")
  client.close
end
""",
    })
    assert long_builder.get(long_builder.run(image)) == "ruby 1000"


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>app</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source>
<maven.compiler.target>17</maven.compiler.target></properties>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>
<artifactId>maven-jar-plugin</artifactId><configuration><archive><manifest>
<mainClass>App</mainClass></manifest></archive></configuration></plugin></plugins></build></project>
"""


def test_java(long_builder):
    image = long_builder.build({
        "pom.xml": POM,
        "src/main/java/App.java": """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class App {
    public static void main(String[] args) throws Exception {
        HttpServer s = HttpServer.create(
            new InetSocketAddress(Integer.getInteger("server.port")), 0);
        s.createContext("/", e -> {
            byte[] b = "java".getBytes();
            e.sendResponseHeaders(200, b.length);
            e.getResponseBody().write(b);
            e.close();
        });
        s.start();
    }
}
""",
    })
    assert long_builder.get(long_builder.run(image)) == "java"
