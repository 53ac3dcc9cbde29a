"""The page's files: from the installed package, or from the checkout's `web/` while developing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse

from mien.errors import PluginError
from mien_webrtc.problems import Problem

TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What may be served, and as what: the operating system's own table differs from machine to machine."""


def web_folder() -> Path:
    """Where the page lies. Raises `PluginError` when it is nowhere."""
    with resources.as_file(resources.files("mien_webrtc")) as package:
        for folder in (package / "web", package.parents[1] / "web"):
            if folder.is_dir():
                return folder
    raise PluginError("The page's files are missing from this installation. Reinstall mien.")


def router(folder: Path) -> APIRouter:
    """GET /, /view (the picture alone) and /assets/..."""
    routes = APIRouter()
    root = folder.resolve()

    def served(relative: str) -> FileResponse:
        path = (root / relative).resolve()
        if not path.is_relative_to(root) or path.suffix not in TYPES or not path.is_file():
            raise Problem(404, "not-found", "There is no such file", f"The page has no {relative}.")
        return FileResponse(path, media_type=TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    @routes.get("/")
    async def index() -> FileResponse:
        return served("index.html")

    @routes.get("/view")
    async def view() -> FileResponse:
        return served("view.html")

    @routes.get("/assets/{path:path}")
    async def asset(path: str) -> FileResponse:
        inner = root / "assets" / path
        return served(f"assets/{path}" if inner.is_file() else path)

    @routes.get("/favicon.ico")
    async def favicon() -> RedirectResponse:
        return RedirectResponse("/assets/favicon.svg")

    return routes
