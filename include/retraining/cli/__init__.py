"""`python -m retraining`: what the DAGs do, and what people ask, without Airflow."""

from retraining.cli.app import main

__all__ = ["main"]
