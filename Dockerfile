# One image for every service of docker-compose.yaml that is ours: Airflow's, MLflow's, and the one that prepares the databases.
FROM python:3.12-slim-bookworm

# The two packages are installed; DAGs, plugins and models are read from folders.
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    RETRAINING_HOME=/var/lib/retraining \
    RETRAINING_MODELS=/opt/retraining/models \
    GX_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT=true \
    PYTHONUNBUFFERED=1 \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy

# The lock first: this layer, by far the largest, is built again only when a version changes.
# Compiled now, because the user below may not write there: else every process would compile at every start.
COPY deploy/requirements-uv.txt requirements.txt /tmp/locks/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore -r /tmp/locks/requirements-uv.txt \
    && uv pip install --system --compile-bytecode -r /tmp/locks/requirements.txt \
    && rm -rf /tmp/locks

# Volumes take over the owner of the folder they are mounted on, so the folders exist before the first start.
RUN useradd --uid 50000 --user-group --home-dir /opt/airflow --no-create-home --shell /usr/sbin/nologin airflow \
    && mkdir -p /opt/airflow/logs /opt/airflow/config /opt/airflow/dags /opt/airflow/plugins \
                /opt/retraining/models /var/lib/retraining /var/lib/mlflow \
    && chown airflow:airflow /opt/airflow /opt/airflow/logs /var/lib/retraining /var/lib/mlflow

COPY pyproject.toml requirements.in /opt/retraining/src/
COPY include /opt/retraining/src/include/
RUN uv pip install --system --compile-bytecode --no-deps /opt/retraining/src \
    && cp -r /opt/retraining/src/include/models/. /opt/retraining/models/ \
    && rm -rf /opt/retraining/src
COPY config /opt/airflow/config/
COPY dags /opt/airflow/dags/
COPY plugins /opt/airflow/plugins/
COPY deploy/init deploy/healthy /usr/local/bin/

USER airflow
WORKDIR /opt/airflow
