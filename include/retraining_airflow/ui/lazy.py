"""A page application that is built when somebody first opens a page.

Airflow loads plugins in every process, tasks included; only the API server serves pages, so only it pays for them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

PREFIX = "/retraining"


class LazyPages:
    """An ASGI application that forwards to `make_app()`."""

    @cached_property
    def _app(self) -> FastAPI:
        from retraining_airflow.ui.app import make_app

        return make_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)
