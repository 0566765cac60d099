"""The Airflow plugin: adds *Models* to the navigation, with a page per model."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from retraining_airflow.ui.lazy import PREFIX, LazyPages


class ModelPages(AirflowPlugin):
    """Pages about champions, verdicts, decisions and alerts, behind Airflow's login and permissions."""

    name = "model_pages"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyPages(), "url_prefix": PREFIX, "name": "Models"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Models",
            "href": f"{PREFIX}/models",
            "url_route": "models",
            "destination": "nav",
            "category": "browse",
        }
    ]
