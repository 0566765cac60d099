"""Raises the errors of all YAMLs that do not load, as an import error of this Airflow DAG file and of no other."""

from retraining.errors import SpecError
from retraining_airflow.discovery import broken_specs, wanted_dag

if wanted_dag() is None and (problems := broken_specs()) is not None:
    raise SpecError(problems)
