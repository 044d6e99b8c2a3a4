# The operator, the admission server, what follows git: docker build --file docker/operator.Dockerfile --tag cdl/operator:0.1.0 .
FROM python:3.11.13-slim-bookworm AS made
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY LICENSE README.md pyproject.toml /source/
COPY requirements /source/requirements
COPY pipelines /source/pipelines
COPY src /source/src
RUN /opt/venv/bin/pip install --constraint /source/requirements/bbc.txt "/source[kube,pachyderm,determined,seldon,postgres,gitlab]"

FROM python:3.11.13-slim-bookworm
COPY --from=made /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 CDL_HOME=/var/lib/cdl
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cdl \
    && install --directory --owner cdl --group cdl /var/lib/cdl
USER 10001:10001
WORKDIR /var/lib/cdl
CMD ["cdl-operator"]
