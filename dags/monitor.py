"""One `monitor__M` per YAML: drift, health, realised performance, requests. Airflow finds this DAG file here."""

from retraining_airflow.discovery import build_dags
from retraining_airflow.graphs.monitor import build
from retraining_airflow.names import MONITOR

globals().update(build_dags(MONITOR, build))
