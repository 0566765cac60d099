"""One `score__M` per YAML: the champion's daily predictions. Airflow finds this DAG file here."""

from retraining_airflow.discovery import build_dags
from retraining_airflow.graphs.score import build
from retraining_airflow.names import SCORE

globals().update(build_dags(SCORE, build))
