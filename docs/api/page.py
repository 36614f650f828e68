#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""openapi.yaml as one HTML page without scripts: page.py openapi.yaml >index.html"""

import html
import sys

import yaml


def text(value):
    return html.escape(str(value), quote=True)


def prose(value):
    """Paragraphs; `code` in backticks."""
    parts = []
    for paragraph in filter(None, str(value).strip().split("\n\n")):
        pieces = text(" ".join(paragraph.split())).split("`")
        parts.append("<p>" + "".join(f"<code>{piece}</code>" if i % 2 else piece
                                     for i, piece in enumerate(pieces)) + "</p>")
    return "".join(parts)


def name_of(ref):
    return ref.rsplit("/", 1)[1]


class Page:
    def __init__(self, spec):
        self.spec = spec
        self.out = []

    def add(self, *lines):
        self.out.extend(lines)

    def resolve(self, thing):
        while "$ref" in thing:
            node = self.spec
            for step in thing["$ref"].removeprefix("#/").split("/"):
                node = node[step]
            thing = node
        return thing

    def kind(self, schema):
        """A schema in a few words."""
        if "$ref" in schema:
            name = text(name_of(schema["$ref"]))
            return f'<a href="#schema-{name}">{name}</a>'
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return " or ".join(self.kind(each) for each in schema[word])
        if schema.get("type") == "array":
            kind = f"list of {self.kind(schema.get('items', {}))}"
        elif isinstance(schema.get("additionalProperties"), dict):
            kind = f"map of {self.kind(schema['additionalProperties'])}"
        else:
            kind = text(schema.get("type", "anything"))
        if "enum" in schema:
            kind = " | ".join(f"<code>{text(each)}</code>" for each in schema["enum"])
        for word in ("minimum", "maximum", "minLength", "maxLength", "pattern", "default"):
            if word in schema:
                kind += f", {word} <code>{text(schema[word])}</code>"
        return kind + (" or null" if schema.get("nullable") else "")

    def members(self, schema):
        """A table of an object's members, those of objects within it too."""
        if not schema.get("properties"):
            self.add(f"<p>{self.kind(schema)}</p>")
            return
        self.add("<table>")
        self.rows(schema, "")
        self.add("</table>")

    def rows(self, schema, prefix):
        for name, member in schema["properties"].items():
            must = "" if name in schema.get("required", ()) else " <i>optional</i>"
            self.add(f"<tr><td><code>{text(prefix + name)}</code>{must}</td>"
                     f"<td>{self.kind(member)}</td><td>{text(member.get('description', ''))}</td>"
                     "</tr>")
            inner, more = member, "."
            if member.get("type") == "array":
                inner, more = member.get("items", {}), "[]."
            if inner.get("properties"):
                self.rows(inner, prefix + name + more)

    def content(self, content):
        for kind, media in content.items():
            self.add(f"<div><code>{text(kind)}</code>: {self.kind(media['schema'])}</div>")
            if media["schema"].get("properties"):
                self.members(media["schema"])

    def parameters(self, parameters):
        if not parameters:
            return
        self.add("<h4>Parameters</h4><table>")
        for each in map(self.resolve, parameters):
            must = "" if each.get("required") else " <i>optional</i>"
            self.add(f"<tr><td><code>{text(each['name'])}</code> in {text(each['in'])}{must}</td>"
                     f"<td>{self.kind(each['schema'])}</td>"
                     f"<td>{prose(each.get('description', ''))}</td></tr>")
        self.add("</table>")

    def operation(self, path, method, operation):
        name = text(f"{method} {path}")
        self.add(f'<section><h3 id="{name}"><b class="{text(method)}">{text(method.upper())}</b> '
                 f"{text(path)}</h3>", prose(operation["summary"]))
        self.add(prose(operation.get("description", "")))
        if "x-scope" in operation:
            self.add(f"<p>Needs a token with the scope <code>{text(operation['x-scope'])}</code>."
                     "</p>")
        self.parameters(operation.get("parameters"))
        if "requestBody" in operation:
            self.add("<h4>Body</h4>")
            self.content(operation["requestBody"]["content"])
        self.answers(operation["responses"])
        self.add("</section>")

    def answers(self, responses):
        """A row for those of one meaning."""
        rows = {}
        for status, response in responses.items():
            rows.setdefault(self.answer(self.resolve(response)), []).append(status)
        self.add("<h4>Answers</h4><table>")
        for row, statuses in rows.items():
            codes = " ".join(f"<code>{text(status)}</code>" for status in statuses)
            self.add(f"<tr><td>{codes}</td>{row}</tr>")
        self.add("</table>")

    def answer(self, told):
        """What comes with a status."""
        before = len(self.out)
        self.add(f"<td>{prose(told['description'])}</td><td>")
        self.content(told.get("content", {}))
        for header in told.get("headers", {}):
            self.add(f"<div>header <code>{text(header)}</code></div>")
        self.add("</td>")
        row = "\n".join(self.out[before:])
        del self.out[before:]
        return row

    def make(self):
        info = self.spec["info"]
        self.add('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
                 f"<title>{text(info['title'])}: HTTP API</title>",
                 '<meta name="viewport" content="width=device-width, initial-scale=1">',
                 '<link rel="stylesheet" href="style.css"></head><body>',
                 f"<h1>{text(info['title'])} {text(info['version'])}: HTTP API</h1>",
                 prose(info["description"]),
                 '<p>As a document for programs: <a href="openapi.yaml">openapi.yaml</a>.</p><ul>')
        operations = [(path, method, operation) for path, item in self.spec["paths"].items()
                      for method, operation in item.items()]
        for path, method, operation in operations:
            self.add(f'<li><a href="#{text(method)}%20{text(path)}"><b>{text(method.upper())}</b> '
                     f"{text(path)}</a> {text(operation['summary'])}</li>")
        self.add("</ul>")
        for each in operations:
            self.operation(*each)
        self.add("<h2>Schemas</h2>")
        for name, schema in self.spec["components"]["schemas"].items():
            self.add(f'<section><h3 id="schema-{text(name)}">{text(name)}</h3>',
                     prose(schema.get("description", "")))
            self.members(schema)
            self.add("</section>")
        self.add("</body></html>")
        return "\n".join(self.out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(Page(yaml.safe_load(file)).make())
