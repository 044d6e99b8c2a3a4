# The built-in steps of data pipelines: docker build --file docker/steps.Dockerfile --tag cdl/steps:0.1.0 .
# Those about pictures need Pillow, checks the words of checks, the others nothing but Python.
FROM python:3.11.13-slim-bookworm AS made
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY LICENSE README.md pyproject.toml /source/
COPY requirements /source/requirements
COPY pipelines /source/pipelines
COPY src /source/src
RUN /opt/venv/bin/pip install --constraint /source/requirements/tests.txt "/source[pictures]"

FROM python:3.11.13-slim-bookworm
COPY --from=made /opt/venv /opt/venv
COPY pipelines /opt/cdl/pipelines
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cdl
USER 10001:10001
WORKDIR /tmp
# Which step is said by the pipeline.
CMD ["python", "--version"]
