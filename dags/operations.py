"""`approve`, `override`, `rollback` and `housekeeping`: what is done between runs. Airflow finds this DAG file here."""

from retraining_airflow.discovery import build_shared
from retraining_airflow.graphs.operations import BUILDS

globals().update(build_shared(BUILDS))
