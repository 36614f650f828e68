# SPDX-License-Identifier: MIT
"""docs/api/openapi.yaml against the running server: what it answers is documented, and every
documented operation is asked."""

import json
import re

import jsonschema
import pytest
import yaml

from stack import TOP

SPEC = yaml.safe_load((TOP / "docs/api/openapi.yaml").read_text())


def nullable(schema):
    """OpenAPI's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {k: nullable(v) for k, v in schema.items() if k != "nullable"}
    if schema.get("nullable") is True:
        made["type"] = [schema["type"], "null"]
    return made


SCHEMAS = nullable(SPEC)


def resolve(thing):
    while "$ref" in thing:
        node = SPEC
        for step in thing["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        thing = node
    return thing


def check(operation, reply):
    """The reply's status, headers and body are as the operation says."""
    documented = operation["responses"]
    assert str(reply.status) in documented, (reply, sorted(documented))
    response = resolve(documented[str(reply.status)])
    for name, header in response.get("headers", {}).items():
        if header.get("required"):
            assert name in reply.headers, reply.headers
    content = response.get("content")
    if not content:
        assert reply.body == b""
        return
    kind = reply.headers.get_content_type()
    assert kind in content, (kind, sorted(content))
    if kind == "application/json":
        schema = {**nullable(content[kind]["schema"]), "components": SCHEMAS["components"]}
        jsonschema.Draft7Validator(schema).validate(reply.json)


@pytest.fixture(scope="module")
def built(stack):
    config = stack.layout("MD1-Standard")
    config["header"]["Author"] = "openapi"
    reply = stack.build(config)
    assert reply.json["success"] is True, reply
    return config, reply


def examples(stack, config, reply):
    """(path of the document, method, how to ask, status) for everything that can be provoked."""
    job = reply.headers["X-Kiisrv-Job"]
    zipped = "/" + reply.json["filename"][2:]
    good = json.dumps({"env": "latest", "config": config}).encode()
    other = json.loads(good)
    other["config"]["header"]["Author"] = "openapi, another"
    other = json.dumps(other).encode()
    kind = {"Content-Type": "application/json"}
    tag = {"If-None-Match": stack.get("/versions").headers["ETag"]}
    yield "/versions", "get", ("GET", "/versions"), 200
    yield "/versions", "get", ("GET", "/versions", None, tag), 304
    yield "/versions", "get", ("DELETE", "/versions"), 405
    yield "/stats", "get", ("GET", "/stats"), 200
    as_json = {"Accept": "application/json"}
    yield "/stats", "get", ("GET", "/stats", None, as_json), 200
    yield "/stats", "get", ("DELETE", "/stats"), 405
    yield "/layouts/", "get", ("GET", "/layouts/"), 200
    yield "/layouts/", "get", ("DELETE", "/layouts/"), 405
    yield "/layouts/{file}", "get", ("GET", "/layouts/Kira-Standard.json"), 200
    yield "/layouts/{file}", "get", ("GET", "/layouts/Kira-Standard.json?rev=v1"), 200
    yield "/layouts/{file}", "get", ("GET", "/layouts/None.json"), 404
    yield "/layouts/{file}", "get", ("GET", "/layouts/None.json?rev=v1"), 404
    yield "/layouts/{file}", "get", ("DELETE", "/layouts/MD1-Standard.json"), 405
    for path in ("/", "/download.php", "/api/v1/builds"):
        yield path, "post", ("POST", path, good, kind), 200
        yield path, "post", ("POST", path, b"{}", kind), 400
        yield path, "post", ("GET", path), 405
        yield path, "post", ("POST", path, b"x" * (2 << 20) + b"x", kind), 413
        yield path, "post", ("POST", path, good, {"Content-Type": "text/plain"}), 415
        missing = good.replace(b'"latest"', b'"v0.5.5"', 1)
        yield path, "post", ("POST", path, missing, kind), 503
    yield "/api/v1/builds", "post", ("POST", "/api/v1/builds", other, kind), 202
    yield "/tmp/{zip}", "get", ("GET", zipped), 200
    yield "/tmp/{zip}", "get", ("GET", zipped, None, {"Range": "bytes=0-9"}), 206
    yield "/tmp/{zip}", "get", ("GET", "/tmp/none.zip"), 404
    yield "/tmp/{zip}", "get", ("DELETE", zipped), 405
    yield "/logs/{id}.log", "get", ("GET", f"/logs/{job}.log"), 200
    yield "/logs/{id}.log", "get", ("GET", f"/logs/{job}.log", None, {"Range": "bytes=1-"}), 206
    yield "/logs/{id}.log", "get", ("GET", f"/logs/{job}.log", None,
                                    {"Range": "bytes=99999999-"}), 416
    yield "/logs/{id}.log", "get", ("GET", "/logs/" + "0" * 32 + ".log"), 404
    yield "/api/v1/jobs/{id}", "get", ("GET", f"/api/v1/jobs/{job}"), 200
    yield "/api/v1/jobs/{id}", "get", ("GET", "/api/v1/jobs/" + "0" * 32), 404
    yield "/api/v1/jobs/{id}", "get", ("DELETE", f"/api/v1/jobs/{job}"), 405
    yield "/healthz", "get", ("GET", "/healthz"), 200
    yield "/healthz", "get", ("DELETE", "/healthz"), 405
    yield "/metrics", "get", ("GET", "/metrics"), 200
    yield "/metrics", "get", ("DELETE", "/metrics"), 405


def test_the_server_does_what_the_document_says(stack, built):
    asked = set()
    for path, method, how, status in examples(stack, *built):
        reply = stack.request(*how)
        assert reply.status == status, (how[:2], reply)
        check(SPEC["paths"][path][method], reply)
        asked.add((path, method))
    documented = {(path, method) for path, item in SPEC["paths"].items()
                  for method, operation in item.items() if "x-scope" not in operation}
    assert asked == documented


def test_the_document_is_whole():
    """Every reference leads somewhere, and every parameter of a path is declared."""
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                resolve(node)
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)
    walk(SPEC)
    for path, item in SPEC["paths"].items():
        for operation in item.values():
            declared = {resolve(p)["name"] for p in operation.get("parameters", ())
                        if resolve(p)["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), path
    jsonschema.Draft7Validator.check_schema(SCHEMAS["components"]["schemas"]["Job"])


def test_what_holds_for_every_operation_is_documented():
    """Other methods; nginx' limits, which hold for all of the server; what nginx says when a
    program, where there is one, is away or slow."""
    for path, item in SPEC["paths"].items():
        served = not path.startswith(("/tmp/", "/logs/"))
        for method, operation in item.items():
            assert {"405", "429", *(("502", "504") if served else ())} <= \
                set(operation["responses"]), (method, path)


def test_shipped_layouts_are_what_the_document_says_of_configurations(stack):
    schema = {"$ref": "#/components/schemas/Config", "components": SCHEMAS["components"]}
    for name in ("MD1-Standard", "MDErgo1-Default", "Kira-Standard", "GeminiDuskDawn-Standard"):
        jsonschema.Draft7Validator(schema).validate(stack.layout(name))
