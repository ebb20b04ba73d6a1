"""Makes tests/fixtures/github from two packages of npm, unpacked: what GitHub takes, and what it sends.

`python -m tests.fakes.github_fixtures <@octokit/openapi> <@octokit/webhooks-examples>`, each the folder `package`
that `npm pack` and `tar xzf` leave behind. Kept small: the operations the project uses, requests only.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "fixtures" / "github"
USED = (
    "GET /app",
    "GET /user",
    "GET /app/hook/deliveries",
    "GET /app/hook/deliveries/{delivery_id}",
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/installation",
    "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
    "GET /repos/{owner}/{repo}/issues/{issue_number}",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/reactions",
    "GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/comments",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
    "POST /repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions",
)
# Not in the description, but where its own redirects from renamed and transferred repositories lead.
BY_ID = "/repositories/{repository_id}"
REPOSITORY = "/repos/{owner}/{repo}"
SHAPE = ("type", "enum", "items", "properties", "required", "minimum", "maximum", "maxLength", "format")

Json = Any


def reduced(package: Path) -> Json:
    """The operations used, each with its parameters and the schema of its body."""
    whole = json.loads((package / "generated" / "api.github.com.json").read_text())
    version = json.loads((package / "package.json").read_text())["version"]
    operations = {}
    for used in USED:
        method, path = used.split(" ")
        operations[used] = _operation(whole, whole["paths"][path][method.lower()])
        if path.startswith(REPOSITORY):
            operations[f"{method} {path.replace(REPOSITORY, BY_ID, 1)}"] = _by_id(operations[used])
    return {
        "source": f"npm @octokit/openapi {version}, generated/api.github.com.json, reduced",
        "license": "MIT License, Copyright (c) 2020 Octokit contributors",
        "note": f"{BY_ID} is not described there: redirects from renamed repositories lead to it",
        "operations": operations,
    }


def examples(package: Path) -> Json:
    """Every payload of api.github.com, by the name of its event."""
    whole = json.loads((package / "api.github.com" / "index.json").read_text())
    version = json.loads((package / "package.json").read_text())["version"]
    return {
        "source": f"npm @octokit/webhooks-examples {version}, api.github.com/index.json, examples only",
        "license": "MIT",
        "events": {each["name"]: each["examples"] for each in whole},
    }


def _operation(whole: Json, found: Json) -> Json:
    body = found.get("requestBody")
    return {
        "id": found["operationId"],
        "parameters": [_parameter(whole, each) for each in found.get("parameters", ())],
        "body": body and _shape(whole, body["content"]["application/json"]["schema"]),
        "needs_body": bool(body and body.get("required")),
        "statuses": sorted(found["responses"]),
    }


def _parameter(whole: Json, found: Json) -> Json:
    found = _resolved(whole, found)
    return {
        "name": found["name"],
        "in": found["in"],
        "required": found.get("required", False),
        "schema": _shape(whole, found["schema"]),
    }


def _shape(whole: Json, found: Json) -> Json:
    found = _resolved(whole, found)
    shape = {key: found[key] for key in SHAPE if key in found}
    if "items" in shape:
        shape["items"] = _shape(whole, shape["items"])
    if "properties" in shape:
        shape["properties"] = {name: _shape(whole, each) for name, each in shape["properties"].items()}
        # Fields nobody knows are mistakes of ours.
        shape["additionalProperties"] = False
    return shape


def _resolved(whole: Json, found: Json) -> Json:
    while "$ref" in found:
        step = whole
        for name in found["$ref"].removeprefix("#/").split("/"):
            step = step[name]
        found = step
    return found


def _by_id(operation: Json) -> Json:
    kept = [each for each in operation["parameters"] if each["name"] not in ("owner", "repo")]
    id = {"name": "repository_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    return {**operation, "parameters": [id, *kept]}


def main(openapi: Path, webhooks: Path) -> None:
    """Write both files anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(reduced(openapi), indent=1, sort_keys=True)
    (FOLDER / "openapi.json").write_text(text + "\n")
    packed = json.dumps(examples(webhooks), separators=(",", ":"), sort_keys=True).encode()
    preset = 9 | lzma.PRESET_EXTREME
    (FOLDER / "webhooks.json.xz").write_bytes(lzma.compress(packed, preset=preset))


if __name__ == "__main__":
    main(*(Path(each) for each in sys.argv[1:3]))
