# The two images of docker-compose.yaml: the orchestrator and local AWS. The training image is training_image/Dockerfile.

FROM apache/airflow:3.3.2-python3.12 AS orchestrator
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --requirement /tmp/requirements.txt
COPY --chown=airflow:0 include /opt/lookbook/include
COPY --chown=airflow:0 plugins /opt/lookbook/plugins
COPY --chown=airflow:0 dags /opt/lookbook/dags
COPY --chown=airflow:0 training_image/base /opt/lookbook/training_image/base
# The commit, for lineage: docker build --build-arg CODE_VERSION=$(git rev-parse --short=12 HEAD)
ARG CODE_VERSION=unknown
ENV LOOKBOOK_CODE_VERSION=${CODE_VERSION}


# Local AWS runs the training image's package as processes of its own, so it carries that environment too, CPU only.
FROM python:3.12-slim AS local-aws
COPY requirements-local-aws.txt training_image/requirements.txt /tmp/requirements/
COPY include/laptop/__init__.py include/laptop/training_environment.py /tmp/install/laptop/
RUN pip install --no-cache-dir --requirement /tmp/requirements/requirements-local-aws.txt \
    && python -m venv /opt/training \
    && PIP_NO_CACHE_DIR=1 PYTHONPATH=/tmp/install \
       /opt/training/bin/python -m laptop.training_environment /tmp/requirements/requirements.txt \
    && rm -r /tmp/requirements /tmp/install
COPY include/local_aws /opt/lookbook/include/local_aws
COPY training_image/lookbook_image /opt/lookbook/training_image/lookbook_image
ENV PYTHONPATH=/opt/lookbook/include \
    PYTHONUNBUFFERED=1
RUN useradd --create-home lookbook && install --directory --owner lookbook /state
USER lookbook
WORKDIR /opt/lookbook
EXPOSE 4566
