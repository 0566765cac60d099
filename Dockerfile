# One image for every service of docker-compose.yaml that is ours: Airflow's, MLflow's, and the one that prepares the databases.
FROM python:3.12-slim-bookworm

# The two packages are installed; DAGs, plugins and models are read from folders.
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    RETRAINING_HOME=/var/lib/retraining \
    RETRAINING_MODELS=/opt/retraining/models \
    RETRAINING_LOCK=/opt/retraining/requirements.txt \
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

# What .dockerignore lets through. A copied folder would have to exist, also where a team needs no plugins.
COPY . /opt/retraining/src/
RUN cd /opt/retraining/src \
    && uv pip install --system --compile-bytecode --no-deps . \
    && cp -r include/models requirements.txt /opt/retraining/ \
    && for folder in config dags plugins; do [ ! -d $folder ] || cp -r $folder /opt/airflow/; done \
    && cp deploy/init deploy/healthy /usr/local/bin/ \
    && rm -rf /opt/retraining/src

USER airflow
WORKDIR /opt/airflow
