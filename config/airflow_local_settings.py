"""Read by every Airflow process: warms the ones that run tasks, when RETRAINING_WARM=1."""

from retraining_airflow import warm

warm()
