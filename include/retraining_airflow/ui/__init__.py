"""Pages about models inside the Airflow UI, behind Airflow's own login."""
