"""What the stand-in GitHub does for each operation, with the refusals of the real one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.fakes import github_shapes as shapes
from tests.fakes.github_openapi import Asked, Operation
from tests.fakes.github_world import Comment, Issue, Repository, Token, World, app_key, moment

BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of the API."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An answer that is a no. `is_mistake`: only a mistake of ours leads there."""

    def __init__(self, status: int, message: str, *, is_mistake: bool = False, **more: Any) -> None:
        super().__init__(message)
        self.is_mistake = is_mistake
        body = {"message": message, "documentation_url": "https://docs.example/rest", "status": str(status)}
        self.reply = Reply(status=status, body={**body, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that fits the description, its parameters by name."""

    asked: Asked
    operation: Operation
    given: Mapping[str, str]
    url: str

    def number(self, name: str) -> int:
        return int(self.given[name])


def answer(world: World, request: Request) -> Reply:
    """Do what is asked for. Raises: Refusal."""
    route = request.operation.id
    if route.startswith("apps/"):
        _check_app(world, request)
        return _OF_APP[route](world, request)
    token = _token(world, request)
    if route == "users/get-authenticated":
        if not token.login:
            raise Refusal(403, "Resource not accessible by integration")
        return Reply(body=shapes.account(token.login))
    where = _repository(world, request, token)
    return _OF_REPOSITORY[route](world, request, where, token)


def _check_app(world: World, request: Request) -> None:
    signed = request.asked.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(
            signed,
            app_key().public_key(),
            algorithms=["RS256"],
            issuer=world.app_id,
            options={"require": ["iat", "exp", "iss"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise Refusal(401, f"A JSON web token could not be decoded: {error}", is_mistake=True) from None
    now = world.now()
    if claims["iat"] > now:
        raise Refusal(401, "'Issued at' claim ('iat') must be an Integer in the past", is_mistake=True)
    if claims["exp"] <= now or claims["exp"] > now + 600:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future", is_mistake=True)


def _token(world: World, request: Request) -> Token:
    given = request.asked.headers.get("authorization", "").removeprefix("Bearer ")
    found = world.tokens.get(given)
    if found is None:
        raise Refusal(401, "Bad credentials", is_mistake=True)
    if given in world.revoked or found.expires_at <= world.now():
        raise Refusal(401, "Bad credentials")
    installation = world.installations.get(found.installation)
    if installation is not None and installation.is_suspended:
        raise Refusal(403, "This installation has been suspended")
    return found


def _repository(world: World, request: Request, token: Token) -> Repository:
    if "repository_id" in request.given:
        found = world.repositories.get(request.number("repository_id"))
    else:
        found, is_former = world.named(f"{request.given['owner']}/{request.given['repo']}")
        if found is not None and is_former:
            raise _moved(request, found)
    may_see = found is not None and token.installation in (0, found.installation)
    if found is None or found.is_deleted or not may_see:
        raise Refusal(404, "Not Found")
    return found


def _moved(request: Request, found: Repository) -> Refusal:
    steps = request.asked.path.split("/", 4)
    rest = f"/{steps[4]}" if len(steps) > 4 else ""
    query = f"?{urlencode(request.asked.query)}" if request.asked.query else ""
    location = f"{request.url}/repositories/{found.id}{rest}{query}"
    # As GitHub does: whoever does not follow a post learns that by the status.
    refusal = Refusal(301 if request.asked.method == "GET" else 307, "Moved Permanently", url=location)
    refusal.reply.headers["location"] = location
    return refusal


def _mint(world: World, request: Request) -> Reply:
    found = world.installations.get(request.number("installation_id"))
    if found is None or found.is_gone:
        raise Refusal(404, "Not Found")
    if found.is_suspended:
        raise Refusal(403, "This installation has been suspended")
    token, expires_at = world.mint(found.id)
    body = {"token": token, "expires_at": moment(expires_at), "permissions": found.permissions}
    return Reply(status=201, body=body)


def _installed(world: World, request: Request) -> Reply:
    found, is_former = world.named(f"{request.given['owner']}/{request.given['repo']}")
    if found is None or found.is_deleted or is_former or world.installations[found.installation].is_gone:
        raise Refusal(404, "Not Found")
    return Reply(body={"id": found.installation, "app_id": int(world.app_id)})


def _app(world: World, request: Request) -> Reply:
    return Reply(body={"id": int(world.app_id), "slug": world.slug, "name": "Turnwright"})


def _deliveries(world: World, request: Request) -> Reply:
    query = dict(request.asked.query)
    size = int(query.get("per_page", "30"))
    newest_first = sorted(world.delivered, key=lambda each: each.id, reverse=True)
    if "cursor" in query:
        kind, _, id = query["cursor"].partition("_")
        if kind != "v1" or not id.isdecimal():
            raise Refusal(400, "Invalid cursor", is_mistake=True)
        newest_first = [each for each in newest_first if each.id <= int(id)]
    page, rest = newest_first[:size], newest_first[size:]
    headers = {}
    if rest:
        cursor = urlencode({"per_page": size, "cursor": f"v1_{rest[0].id}"})
        headers["link"] = f'<{request.url}/app/hook/deliveries?{cursor}>; rel="next"'
    return Reply(body=[shapes.delivery(each, whole=False) for each in page], headers=headers)


def _delivery(world: World, request: Request) -> Reply:
    for each in world.delivered:
        if each.id == request.number("delivery_id"):
            return Reply(body=shapes.delivery(each, whole=True))
    raise Refusal(404, "Not Found")


def _get_repository(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return Reply(body=shapes.repository(where))


def _get_permission(world: World, request: Request, where: Repository, token: Token) -> Reply:
    _check_may(world, token, "metadata", "read")
    login = request.given["username"]
    if login.endswith("-nobody"):
        raise Refusal(404, f"{login} is not a user")
    return Reply(body=shapes.permission(where, login))


def _get_issue(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return Reply(body=shapes.issue(where, _issue(request, where)))


def _get_pull(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return Reply(body=shapes.pull(where, _issue(request, where, name="pull_number", is_pull=True)))


def _list_comments(world: World, request: Request, where: Repository, token: Token) -> Reply:
    issue = _issue(request, where)
    return _paged(request, where, issue, issue.comments)


def _list_review(world: World, request: Request, where: Repository, token: Token) -> Reply:
    issue = _issue(request, where, name="pull_number", is_pull=True)
    newest_first = dict(request.asked.query).get("direction") == "desc"
    return _paged(request, where, issue, issue.review[::-1] if newest_first else issue.review)


def _create(world: World, request: Request, where: Repository, token: Token) -> Reply:
    _check_may(world, token, "issues", "write")
    issue = _issue(request, where)
    return _commented(world, request, where, issue, token)


def _reply_in_review(world: World, request: Request, where: Repository, token: Token) -> Reply:
    _check_may(world, token, "pull_requests", "write")
    issue = _issue(request, where, name="pull_number", is_pull=True)
    first = next((each for each in issue.review if each.id == request.number("comment_id")), None)
    if first is None:
        raise Refusal(404, "Not Found")
    if first.reply_to:
        raise Refusal(422, "Validation Failed", is_mistake=True)
    return _commented(world, request, where, issue, token, first=first)


def _commented(
    world: World,
    request: Request,
    where: Repository,
    issue: Issue,
    token: Token,
    *,
    first: Comment | None = None,
) -> Reply:
    _check_writable(where)
    if issue.is_locked:
        raise Refusal(403, "Unable to create comment because issue is locked.")
    body = _body(request)
    made = world.comment(
        issue,
        body,
        login=_writer(world, token),
        path=first.path if first else "",
        reply_to=first.id if first else 0,
    )
    return Reply(status=201, body=shapes.comment(where, issue, made))


def _get_comment(world: World, request: Request, where: Repository, token: Token) -> Reply:
    issue, found = _comment(request, where)
    return Reply(body=shapes.comment(where, issue, found))


def _update(world: World, request: Request, where: Repository, token: Token) -> Reply:
    _check_may(world, token, "issues", "write")
    _check_writable(where)
    issue, found = _comment(request, where)
    found.body = _body(request)
    found.updated_at = world.now()
    return Reply(body=shapes.comment(where, issue, found))


def _delete(world: World, request: Request, where: Repository, token: Token) -> Reply:
    _check_may(world, token, "issues", "write")
    _check_writable(where)
    issue, found = _comment(request, where)
    issue.comments.remove(found)
    return Reply(status=204)


def _react_to_issue(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return _reacted(world, request, token, _issue(request, where).reactions)


def _react_to_comment(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return _reacted(world, request, token, _comment(request, where)[1].reactions)


def _react_in_review(world: World, request: Request, where: Repository, token: Token) -> Reply:
    return _reacted(world, request, token, _comment(request, where, in_review=True)[1].reactions)


def _reacted(world: World, request: Request, token: Token, reactions: set[tuple[str, str]]) -> Reply:
    _check_may(world, token, "issues", "write")
    login = _writer(world, token)
    one = (login, request.asked.body["content"])
    is_new = one not in reactions
    reactions.add(one)
    body = {"id": 1, "content": one[1], "user": shapes.account(login)}
    return Reply(status=201 if is_new else 200, body=body)


def _issue(
    request: Request, where: Repository, *, name: str = "issue_number", is_pull: bool = False
) -> Issue:
    found = where.issues.get(request.number(name))
    if found is None or (is_pull and not found.is_pull):
        raise Refusal(404, "Not Found")
    if found.is_deleted:
        raise Refusal(410, "This issue was deleted")
    return found


def _comment(request: Request, where: Repository, *, in_review: bool = False) -> tuple[Issue, Comment]:
    for issue in where.issues.values():
        for each in issue.review if in_review else issue.comments:
            if each.id == request.number("comment_id"):
                return issue, each
    raise Refusal(404, "Not Found")


def _paged(request: Request, where: Repository, issue: Issue, comments: list[Comment]) -> Reply:
    query = dict(request.asked.query)
    size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
    if "since" in query:
        since = datetime.strptime(query["since"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        # Times of GitHub's are full seconds.
        comments = [each for each in comments if math.floor(each.updated_at) >= since]
    shown = comments[(page - 1) * size : page * size]
    headers = {}
    if page * size < len(comments):
        steps = request.asked.path.split("/", 4) if "repo" in request.given else None
        path = f"/repositories/{where.id}/{steps[4]}" if steps else request.asked.path
        link = urlencode({**query, "page": page + 1})
        headers["link"] = f'<{request.url}{path}?{link}>; rel="next", <{request.url}{path}>; rel="last"'
    return Reply(body=[shapes.comment(where, issue, each) for each in shown], headers=headers)


def _body(request: Request) -> str:
    body: str = request.asked.body["body"]
    if not body.strip():
        raise Refusal(422, "Validation Failed", is_mistake=True)
    if len(body) > BODY_LIMIT:
        raise Refusal(
            422,
            "Validation Failed",
            errors=["Body is too long (maximum is 65536 characters)"],
            is_mistake=True,
        )
    return body


def _check_may(world: World, token: Token, what: str, least: str) -> None:
    if token.login:
        return
    granted = world.installations[token.installation].permissions.get(what, "")
    if granted != "write" and granted != least:
        raise Refusal(403, "Resource not accessible by integration")


def _check_writable(where: Repository) -> None:
    if where.is_archived:
        raise Refusal(403, "Repository was archived so is read-only.")


def _writer(world: World, token: Token) -> str:
    return token.login or f"{world.slug}[bot]"


_OF_APP: dict[str, Callable[[World, Request], Reply]] = {
    "apps/get-authenticated": _app,
    "apps/create-installation-access-token": _mint,
    "apps/get-repo-installation": _installed,
    "apps/list-webhook-deliveries": _deliveries,
    "apps/get-webhook-delivery": _delivery,
}
_OF_REPOSITORY: dict[str, Callable[[World, Request, Repository, Token], Reply]] = {
    "repos/get": _get_repository,
    "repos/get-collaborator-permission-level": _get_permission,
    "issues/get": _get_issue,
    "issues/list-comments": _list_comments,
    "issues/create-comment": _create,
    "issues/get-comment": _get_comment,
    "issues/update-comment": _update,
    "issues/delete-comment": _delete,
    "pulls/get": _get_pull,
    "pulls/list-review-comments": _list_review,
    "pulls/create-reply-for-review-comment": _reply_in_review,
    "reactions/create-for-issue": _react_to_issue,
    "reactions/create-for-issue-comment": _react_to_comment,
    "reactions/create-for-pull-request-review-comment": _react_in_review,
}
