# What PyTorch trials run in, under Determined: docker build --file docker/trial-torch.Dockerfile --tag cdl/trial-torch:0.1.0 .
FROM python:3.11.13-slim-bookworm AS made
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Where else packages are looked for, as for another build of the framework.
ARG EXTRA_INDEX=
RUN python -m venv /opt/venv
COPY LICENSE README.md pyproject.toml /source/
COPY requirements /source/requirements
COPY pipelines /source/pipelines
COPY src /source/src
RUN /opt/venv/bin/pip install ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} \
    --constraint /source/requirements/bbc.txt "/source[pachyderm,determined,torch]" tensorboard==2.21.0

FROM python:3.11.13-slim-bookworm
COPY --from=made /opt/venv /opt/venv
# Determined would otherwise install its own package at every start of a trial.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DET_SKIP_PIP_INSTALL=1
RUN useradd --uid 10001 --user-group --create-home --shell /bin/bash cdl
USER 10001:10001
WORKDIR /home/cdl
CMD ["python", "--version"]
