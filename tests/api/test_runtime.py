# SPDX-License-Identifier: MIT
"""What the server says of its engine."""

import json

from client import check_error

INFO = "/runtime/info"


def test_the_engine_is_told_as_configured_and_as_it_is(stack, engine):
    told = stack.operator("runtime:read").get(INFO)
    assert told.status == 200, told
    told = told.json
    assert told["runtime"] == engine.name and told["socket_path"] == engine.socket
    assert told["build_dir"] == str(stack.state / "engine/work")
    real = json.loads(engine.ask("GET", "/info").body)
    assert told["engine"]["runtime"] == engine.name
    assert told["engine"]["version"] == real["ServerVersion"]
    assert told["rootless"] is engine.rootless and told["engine"]["rootless"] is engine.rootless
    assert told["engine"]["storage_driver"] == real["Driver"]
    assert told["engine"]["cpus"] == real["NCPU"]
    assert told["engine"]["memory"] == real["MemTotal"]
    assert told["engine"]["kernel"] == real["KernelVersion"] and told["engine"]["os"]
    assert told["engine"]["api"]["version"] == told["engine"]["api"]["max"] == "1.41"
    assert str(told["engine"]["cgroup"]["version"]) == real["CgroupVersion"]
    assert "pids" in told["limits"]
    if not engine.rootless:   # what it may set there is what systemd gives it, if that runs
        assert all(told["limits"].values()), told["limits"]
    elif not all(told["limits"].values()):
        assert any("limits" in w for w in told["warnings"]), told["warnings"]
    assert told["architectures"]["host"] == "amd64"
    assert isinstance(told["architectures"]["emulated"], list)


def test_others_may_not_ask(stack):
    check_error(stack.get("/api/v1" + INFO), 401, "unauthorized")
    check_error(stack.operator("images:read").get(INFO), 403, "forbidden")


def test_a_wrong_configuration_is_told_and_an_engine_that_is_away(new_stack, engine):
    other = "podman" if engine.name == "docker" else "docker"
    s = new_stack(conf={"docker": {"runtime": other, "rootless": not engine.rootless}})
    anna = s.operator("runtime:read")
    told = anna.get(INFO).json
    assert told["runtime"] == other and told["rootless"] is not engine.rootless
    assert told["engine"]["runtime"] == engine.name
    assert any("docker.runtime" in w for w in told["warnings"])
    assert any("docker.rootless" in w for w in told["warnings"])
    assert s.processes["runtime"].stop() == 0
    s.start_operator("runtime", {"DOCKER_HOST": f"unix://{s.root}/none.sock"})
    reply = anna.get(INFO)
    while reply.status == 502:
        reply = anna.get(INFO)
    check_error(reply, 503, "unavailable")
    assert str(s.root) not in reply.text
