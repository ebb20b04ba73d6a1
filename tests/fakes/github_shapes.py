"""How the stand-in GitHub writes down what it knows, in answers and in webhooks alike."""

from __future__ import annotations

import zlib

from tests.fakes.github_world import ROLES, Comment, Delivered, Issue, Json, Repository, moment

SITE = "https://github.example"


def account(login: str) -> Json:
    """A person, or an app's account."""
    is_bot = login.endswith("[bot]")
    return {
        "login": login,
        "id": zlib.crc32(login.lower().encode()) + 1,
        "node_id": "U_kg",
        "html_url": f"{SITE}/{login}",
        "type": "Bot" if is_bot else "User",
        "site_admin": False,
    }


def repository(found: Repository) -> Json:
    """A repository."""
    owner, name = found.name.split("/")
    return {
        "id": found.id,
        "node_id": "R_kg",
        "name": name,
        "full_name": found.name,
        "owner": account(owner),
        "private": found.is_private,
        "html_url": f"{SITE}/{found.name}",
        "archived": found.is_archived,
        "disabled": False,
    }


def issue(where: Repository, found: Issue) -> Json:
    """An issue; a pull request is one too."""
    url = f"{SITE}/{where.name}/{'pull' if found.is_pull else 'issues'}/{found.number}"
    shape: Json = {
        "id": where.id * 1000 + found.number,
        "number": found.number,
        "title": found.title,
        "body": found.body or None,
        "user": account(found.login),
        "html_url": url,
        "state": "open",
        "locked": found.is_locked,
        "labels": [{"id": 1, "name": each} for each in found.labels],
        "assignees": [account(each) for each in found.assignees],
        "comments": len(found.comments),
        "created_at": moment(found.created_at),
        "updated_at": moment(found.created_at),
        "author_association": "CONTRIBUTOR",
    }
    if found.is_pull:
        shape["pull_request"] = {"url": url, "html_url": url, "diff_url": url, "patch_url": url}
    return shape


def pull(where: Repository, found: Issue) -> Json:
    """A pull request in events of its own."""
    shape = issue(where, found)
    del shape["pull_request"]
    return {**shape, "draft": False, "head": {"ref": "topic"}, "base": {"ref": "main"}}


def comment(where: Repository, on: Issue, found: Comment) -> Json:
    """A comment, of an issue or in a review."""
    url = f"{SITE}/{where.name}/issues/{on.number}#issuecomment-{found.id}"
    shape: Json = {
        "id": found.id,
        "node_id": "IC_kw",
        "url": url,
        "html_url": url,
        "body": found.body,
        "user": account(found.login),
        "created_at": moment(found.created_at),
        "updated_at": moment(found.updated_at),
        "author_association": "CONTRIBUTOR",
    }
    if found.path:
        shape |= {"path": found.path, "diff_hunk": "@@ -1 +1 @@", "pull_request_review_id": 1}
        if found.reply_to:
            shape["in_reply_to_id"] = found.reply_to
    return shape


def permission(where: Repository, login: str) -> Json:
    """What somebody may do; a role of the organisation's own keeps its name."""
    role = next((role for name, role in where.roles.items() if name.lower() == login.lower()), "")
    if not role:
        value, role = ("none", "none") if where.is_private else ("read", "read")
    else:
        value = ROLES.get(role) or where.base_of_role[role]
    return {"permission": value, "role_name": role, "user": account(login)}


def delivery(found: Delivered, *, whole: bool) -> Json:
    """An entry of the log of deliveries; `whole` with what was sent."""
    shape: Json = {
        "id": found.id,
        "guid": found.guid,
        "delivered_at": moment(found.delivered_at),
        "redelivery": found.is_redelivery,
        "duration": 0.27,
        "status": "OK" if found.status == 200 else "failed to connect to host",
        "status_code": found.status,
        "event": found.event,
        "action": found.payload.get("action"),
        "installation_id": found.payload.get("installation", {}).get("id"),
        "repository_id": found.payload.get("repository", {}).get("id"),
    }
    if whole:
        shape["request"] = {"headers": found.headers, "payload": found.payload}
        shape["response"] = {"headers": {}, "payload": ""}
    return shape
