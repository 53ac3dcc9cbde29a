"""Errors as problem details (RFC 9457): every refusal says what is wrong and how to mend it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mien.errors import (
    CapacityError,
    DeviceError,
    InputError,
    MediaError,
    MienError,
    PluginError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A refusal. kind: the short name at the end of the problem's type URI."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        body = {
            "type": f"urn:mien:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(body, self.status, self.headers, media_type=MEDIA_TYPE)


def unknown_session(name: str) -> Problem:
    """404 for a session that nobody opened."""
    return Problem(
        404,
        "unknown-session",
        "There is no such session",
        f"No session is called '{name}'. GET /api/status lists them; POST /api/sessions opens one.",
    )


def starting() -> Problem:
    """503 for whoever comes before the main session is open."""
    return Problem(
        503,
        "starting",
        "The engine is starting",
        "Its main session is not open yet. Try again in a moment.",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


def ending(name: str) -> Problem:
    """503 for whoever comes while a session is being closed."""
    return Problem(
        503,
        "ending",
        "The session is ending",
        f"The session '{name}' is being closed. Try again in a moment.",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


def of_error(error: MienError) -> Problem:
    """The engine's own errors, in HTTP's terms; their messages are written for people."""
    match error:
        case CapacityError():
            return Problem(503, "full", "The engine is full", str(error), {"Retry-After": str(RETRY_AFTER_S)})
        case MediaError():
            return Problem(422, "unusable-media", "The file cannot be used", str(error))
        case InputError():
            return Problem(400, "bad-input", "What was sent cannot be used", str(error))
        case PluginError() | DeviceError():
            return Problem(
                503, "unavailable", "Not available here", str(error), {"Retry-After": str(RETRY_AFTER_S)}
            )
        case _:
            return Problem(500, "engine", "The engine failed", str(error))


def install(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(MienError)
    async def _engine(_: Request, error: MienError) -> JSONResponse:
        return of_error(error).response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        title = HTTPStatus(error.status_code).phrase
        kind = title.lower().replace(" ", "-")
        return Problem(error.status_code, kind, title, str(error.detail), error.headers).response()

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return Problem(
            500, "unexpected", "Something unexpected happened", "The engine's log says more."
        ).response()
