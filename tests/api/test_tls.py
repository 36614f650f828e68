# SPDX-License-Identifier: MIT
"""The engine over TCP with TLS: a firmware, and the operator's zone."""

import pytest

from client import check_error
from stack import Stack, wait_until
from test_operator_images import MARK, images   # noqa: F401 (a fixture)
from tls import Authority, Proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for each in (folder, *folder.parents[:3]):
        each.chmod(0o755)   # the engine's user reads its certificate
    return Authority(folder / "ca")


@pytest.fixture(scope="module")
def proxy(authority, engine):
    made = Proxy(authority.issue(f"server-{engine.name}"), engine.socket)
    yield made
    made.stop()


def environment(proxy, certs):
    return {"DOCKER_HOST": proxy.url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certs)}


@pytest.fixture(scope="module")
def stack(engine, authority, proxy):
    """In place of the session's: its engine is behind the proxy."""
    made = Stack(engine, env=environment(proxy, authority.issue(f"client-{engine.name}")))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_firmware_is_built(stack, proxy):
    config = stack.layout("MD1-Standard")
    config["header"]["Author"] = "over TLS"
    stack.built(config)
    assert proxy.served > 0 and proxy.refused == 0


def test_the_operators_zone_works(stack, engine, proxy, images):   # noqa: F811
    anna = stack.operator()
    info = anna.get("/runtime/info").json
    assert info["socket_path"] == proxy.url and info["engine"]["runtime"] == engine.name
    assert info["architectures"]["emulated"] is None
    images.make(f"{MARK}/tls:1", b"tls")
    assert anna.get(f"/images/{MARK}/tls:1").json["tags"] == [f"{MARK}/tls:1"]
    assert anna.delete(f"/images/{MARK}/tls:1").status == 200
    if "containers" in stack.processes:
        assert anna.get("/containers").status == 200


def asked_again(stack, proxy, certs):
    """What cgi/runtime says when it was started with these."""
    assert stack.processes["runtime"].stop() == 0
    stack.start_operator("runtime", environment(proxy, certs))
    anna = stack.operator()
    reply = anna.get("/runtime/info")
    while reply.status == 502:   # nginx finds nobody yet
        reply = anna.get("/runtime/info")
    return reply


@pytest.mark.parametrize("whose", ["strangers", "another host's"])
def test_an_engine_that_is_not_who_it_should_be_is_none(stack, authority, engine, whose, tmp_path):
    """Its certificate is signed by others, or is another host's."""
    mine = authority.folder / f"client-{engine.name}"
    theirs = Authority(tmp_path / "strangers").issue("server") if whose == "strangers" else \
        authority.issue(f"elsewhere-{engine.name}", "DNS:elsewhere.example.org")
    other = Proxy(theirs, engine.socket)
    try:
        check_error(asked_again(stack, other, mine), 503, "unavailable")
        assert other.served == 0 or whose != "strangers"
    finally:
        other.stop()


def test_a_client_without_a_good_certificate_is_refused(stack, authority, proxy, tmp_path):
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    strangers = Authority(tmp_path / "ca").issue("client")
    (strangers / "ca.pem").write_bytes(authority.cert.read_bytes())
    check_error(asked_again(stack, proxy, strangers), 503, "unavailable")
    # With TLS 1.3 the client hears of it before the proxy has counted it.
    wait_until(lambda: proxy.refused > 0, 20)
