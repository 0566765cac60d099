"""`approve`, `rollback` and `housekeeping`: what is done between runs. Airflow finds this DAG file here."""

from retraining_airflow.graphs.operations import build_approve, build_housekeeping, build_rollback

approve, rollback, housekeeping = build_approve(), build_rollback(), build_housekeeping()
