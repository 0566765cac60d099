#!/usr/bin/env bash
# Runs once, at the first start of the postgres service: three databases, each with a role that can reach no other.
# Airflow and MLflow must be apart: both own a table called `alembic_version`. The ledger is the team's own record.
set -euo pipefail

for name in airflow mlflow ledger; do
  variable=$(echo "${name}" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD
  psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set name="$name" --set password="${!variable}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
SQL
