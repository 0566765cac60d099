"""One `retrain__M` per YAML: from ingest to deploy, through the gate. Airflow finds this DAG file here."""

from retraining_airflow.discovery import build_dags
from retraining_airflow.graphs.retrain import build
from retraining_airflow.names import RETRAIN

globals().update(build_dags(RETRAIN, build))
