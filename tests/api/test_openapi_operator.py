# SPDX-License-Identifier: MIT
"""The operator's half of docs/api/openapi.yaml against the running server: who is let in, and what
is answered. Every documented operation is asked."""

import re

import pytest

from client import check_error
from stack import TOP
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


def test_the_server_does_what_the_document_says(stack, images):   # noqa: F811
    anna = stack.operator()
    asked = set()
    for examples in (audit(stack, anna), runtime(stack, anna), of_images(stack, anna, images)):
        for path, method, how, status in examples:
            reply = anna.request(method.upper(), *how)
            assert reply.status == status, (method, how, reply)
            check(SPEC["paths"][path][method], reply)
            asked.add((path, method))
    assert {(path, method) for path, method, _ in OPERATIONS
            if path.split("/")[3] in ("audit", "runtime", "images")} <= asked


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
