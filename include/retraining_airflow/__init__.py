"""The retraining pipeline on Apache Airflow: graphs, task boundaries, pages. The work itself is in `retraining`."""

from retraining_airflow.warming import warm

__all__ = ["warm"]
