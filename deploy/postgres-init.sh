#!/usr/bin/env bash
# Runs at the first start of the postgres service, and by `make up` again: what is there already stays as it is.
# Three databases, each with a role that can reach no other. Airflow and MLflow must be apart: both own a table called
# `alembic_version`. The ledger is the team's own record: its owner migrates, the services' role may insert and read,
# and housekeeping's may seal, too (`python -m retraining ledger grant`, which the service `init` runs).
set -euo pipefail

run() { psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres "$@"; }

for name in airflow mlflow ledger ledger_services ledger_keeper; do
  variable=$(echo "${name}" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD
  run --set name="$name" --set password="${!variable}" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SQL
done
for name in airflow mlflow ledger; do
  run --set name="$name" <<'SQL'
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
run <<'SQL'
GRANT CONNECT ON DATABASE ledger TO ledger_services, ledger_keeper;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
SQL
