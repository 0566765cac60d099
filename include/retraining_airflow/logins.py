"""Logins: `gate.approvers` are login names, whichever of Airflow's auth managers runs.

Airflow compares the people a question is assigned to with the id its auth manager gives a user. With the simple auth
manager that is the login name, with FAB a number that nobody knows by heart. Set
`AIRFLOW__CORE__AUTH_MANAGER=retraining_airflow.logins.LoginNames` in place of FAB's own, as `docker-compose.yaml` does.
"""

from __future__ import annotations

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import User


class LoginNames(FabAuthManager):
    """FAB's auth manager, in which a question is assigned to login names. FAB keeps them unique."""

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: User) -> bool:
        """Tell whether a user is among those a question was assigned to, by login name."""
        return user.username in assigned_users
