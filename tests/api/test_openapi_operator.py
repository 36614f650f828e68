# SPDX-License-Identifier: MIT
"""The operator's half of docs/api/openapi.yaml against the running server: who is let in, and what
is answered. Every documented operation is asked."""

import json
import re

import pytest

from client import check_error
from stack import TOP
from test_image_builds import tar, upload
from test_containers import containers   # noqa: F401 (a fixture)
from test_openapi import SPEC, check
from test_operator_images import MARK, images   # noqa: F401 (a fixture)

OPERATIONS = [(path, method, operation["x-scope"]) for path, item in SPEC["paths"].items()
              for method, operation in item.items() if "x-scope" in operation]
SCOPES = ("containers:read", "containers:write", "images:read", "images:write", "images:build",
          "jobs:read", "jobs:write", "runtime:read", "audit:read")


@pytest.mark.parametrize("path,method,scope", OPERATIONS)
def test_only_its_scope_opens_an_operation(stack, path, method, scope):
    assert scope in SCOPES
    url = re.sub(r"{\w+}", "0" * 32, path)
    others = stack.operator(",".join(s for s in SCOPES if s != scope))
    reply = stack.request(method.upper(), url)
    check_error(reply, 401, "unauthorized")
    check(SPEC["paths"][path][method], reply)
    reply = others.request(method.upper(), url)
    told = check_error(reply, 403, "forbidden")
    assert scope in told["error"]
    check(SPEC["paths"][path][method], reply)


@pytest.mark.parametrize("path,method,scope", OPERATIONS)
def test_no_other_method_is_an_operation(stack, path, method, scope):
    reply = stack.operator().request("PUT", re.sub(r"{\w+}", "0" * 32, path))
    check_error(reply, 405, "method_not_allowed")
    check(SPEC["paths"][path][method], reply)


def audit(stack, anna):
    yield "/api/v1/audit", "get", ("/audit?limit=5",), 200
    yield "/api/v1/audit", "get", ("/audit?limit=x",), 400


def runtime(stack, anna):
    yield "/api/v1/runtime/info", "get", ("/runtime/info",), 200


def of_images(stack, anna, images):
    images.make(f"{MARK}/doc:1", b"doc")
    yield "/api/v1/images", "get", (f"/images?label={MARK}",), 200
    yield "/api/v1/images", "get", ("/images?dangling=x",), 400
    yield "/api/v1/images/{image}", "get", (f"/images/{MARK}/doc:1",), 200
    yield "/api/v1/images/{image}", "get", (f"/images/{MARK}/none",), 404
    yield "/api/v1/images/{image}", "get", ("/images/A",), 400
    yield "/api/v1/images/{image}", "delete", ("/images/A",), 400
    tag = {"image": f"{MARK}/doc:1", "tag": f"{MARK}/doc:2"}
    yield "/api/v1/images/tag", "post", ("/images/tag", tag), 201
    yield "/api/v1/images/tag", "post", ("/images/tag", {"image": "a"}), 400
    yield "/api/v1/images/tag", "post", ("/images/tag", b"x" * (2 << 20) + b"x"), 413
    yield "/api/v1/images/tag", "post", ("/images/tag", {"image": f"{MARK}/no", "tag": "a"}), 404
    yield "/api/v1/images/{image}", "delete", (f"/images/{images.ids[0]}",), 409
    yield "/api/v1/images/{image}", "delete", (f"/images/{MARK}/doc:2",), 200
    yield "/api/v1/images/{image}", "delete", (f"/images/{MARK}/doc:2",), 404
    yield "/api/v1/images/prune", "post", ("/images/prune",), 200
    yield "/api/v1/images/prune", "post", ("/images/prune?all=7",), 400
    for kind in ("pull", "push"):
        path = f"/api/v1/images/{kind}"
        body = {"image": "127.0.0.1:9/doc"}
        yield path, "post", (f"/images/{kind}", body), 202
        yield path, "post", (f"/images/{kind}", {**body, "registry_auth": "none"}), 400


def builds(stack, anna):
    recipe = b"FROM kiisrv-test-tiny:latest\n"
    site = upload(anna, tar({"index.html": "x"}))
    request = {"source": upload(anna, tar({"Dockerfile": recipe.decode()})), "id": "doc",
               "buildpack_type": "dockerfile", "image_tag": "kinds-doc:1"}
    path = "/api/v1/images/build"
    yield path, "post", ("/images/build", request), 202
    yield path, "post", ("/images/build?wait=1", request), 200
    yield path, "post", ("/images/build", request), 200
    yield path, "post", ("/images/build", {**request, "image_tag": "kinds-doc:2"}), 409
    yield path, "post", ("/images/build", {**request, "id": "-"}), 400
    path = "/api/v1/images/plan"
    plan = {"source": site, "buildpack_type": "static"}
    yield path, "post", ("/images/plan", plan), 200
    yield path, "post", ("/images/plan", {**plan, "buildpack_type": "nixpacks",
                                          "nixpacks_config": {"providers": ["rust"]}}), 422
    yield path, "post", ("/images/plan", {}), 400
    path = "/api/v1/images/sources"
    yield path, "post", ("/images/sources", b"some bytes"), 201
    yield path, "post", ("/images/sources", b""), 400
    jobs = anna.get("/operator/jobs?kind=image").json["jobs"]
    path = "/api/v1/operator/jobs"
    yield path, "get", ("/operator/jobs?limit=5",), 200
    yield path, "get", ("/operator/jobs?state=x",), 400
    one = f"/operator/jobs/{jobs[0]['id']}"
    yield path + "/{id}", "get", (one,), 200
    yield path + "/{id}", "get", ("/operator/jobs/x",), 404
    yield path + "/{id}/log", "get", (one + "/log",), 200
    yield path + "/{id}/log", "get", (one + "/log", None, {"Range": "bytes=1-5"}), 206
    yield path + "/{id}/log", "get", (one + "/log?attempt=9",), 404
    yield path + "/{id}/cancel", "post", (one + "/cancel",), 409
    yield path + "/{id}/cancel", "post", ("/operator/jobs/x/cancel",), 404
    yield path + "/{id}/retry", "post", (one + "/retry",), 202
    stack.engine.ask("DELETE", "/images/kinds-doc:1", force=1)


def of_containers(containers):
    at = "/api/v1/containers"
    one = containers.run("echo hello; exec sleep 1000")
    body = containers.body("true")
    yield at, "get", ("/containers?all=1",), 200
    yield at, "get", ("/containers?state=x",), 400
    yield at, "post", ("/containers", body), 201
    yield at, "post", ("/containers", {"image": 1}), 400
    yield at, "post", ("/containers", {**body, "privileged": True}), 403
    yield at, "post", ("/containers", body), 409
    yield at, "post", ("/containers", {**body, "image": "no/such:1", "pull": "never"}), 404
    yield at, "post", ("/containers", b"x" * (2 << 20) + b"x"), 413
    for path, method, more in (("", "get", ""), ("/top", "get", ""), ("/stats", "get", ""),
                               ("/logs", "get", "?timestamps=1"), ("/start", "post", ""),
                               ("/stop", "post", "?timeout=0"), ("/restart", "post", "?timeout=0"),
                               ("/kill", "post", ""), ("", "delete", "?force=1")):
        if path == "/stats":
            own = json.loads(containers.engine.ask("GET", f"/containers/{one}/stats",
                                                   stream="0").body)
        status = 204 if method != "get" else \
            502 if path == "/stats" and own["read"].startswith("0001") else 200
        yield at + "/{id}" + path, method, (f"/containers/{one}{path}{more}",), status
        yield at + "/{id}" + path, method, (f"/containers/no-such{path}{more}",), 404
    for path, method in (("/stop?timeout=x", "post"), ("/restart?timeout=x", "post"),
                         ("/kill?signal=-", "post"), ("/logs?tail=x", "get"),
                         ("/stats?stream=x", "get"), ("?force=x", "delete")):
        yield at + "/{id}" + path.split("?")[0], method, (f"/containers/x{path}",), 400
    made = containers.make("true")
    for path, method in (("/top", "get"), ("/stats", "get"), ("/stats?stream=1", "get"),
                         ("/kill?signal=HUP", "post")):
        yield at + "/{id}" + path.split("?")[0], method, (f"/containers/{made}{path}",), 409
    yield at + "/{id}/logs", "get", (f"/containers/{made}/logs",), 200


def test_the_server_does_what_the_document_says(stack, images, containers):   # noqa: F811
    anna = stack.operator()
    asked = set()
    for examples in (audit(stack, anna), runtime(stack, anna), of_images(stack, anna, images),
                     of_containers(containers), builds(stack, anna)):
        for path, method, how, status in examples:
            reply = anna.request(method.upper(), *how)
            assert reply.status == status, (method, how, reply)
            check(SPEC["paths"][path][method], reply)
            asked.add((path, method))
    assert {(path, method) for path, method, _ in OPERATIONS
            if path.split("/")[3] in ("audit", "runtime", "images", "containers",
                                      "operator")} <= asked


def test_the_document_is_a_page_too(stack):
    reply = stack.get("/api/")
    assert reply.status == 200 and reply.headers.get_content_type() == "text/html", reply
    for path, item in SPEC["paths"].items():
        for method in item:
            assert f'id="{method} {path}"' in reply.text, (method, path)
    assert "<script" not in reply.text
    assert reply.headers["Content-Security-Policy"] == \
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    assert stack.get("/api/openapi.yaml").text == (TOP / "docs/api/openapi.yaml").read_text()
    assert stack.get("/api/style.css").headers.get_content_type() == "text/css"
