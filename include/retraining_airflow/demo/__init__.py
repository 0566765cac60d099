"""`make demo`: the whole loop on a real Airflow and a real MLflow server, on real flights."""
