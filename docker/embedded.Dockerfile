# The embedded engines, with the frameworks that trials and model servers run inside them need:
# docker build --file docker/embedded.Dockerfile --tag cdl/embedded:0.1.0 .
FROM python:3.11.13-slim-bookworm AS made
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Which frameworks: tf, torch, or both.
ARG FRAMEWORKS=tf,torch
# Where else packages are looked for, as for a build of torch without CUDA.
ARG EXTRA_INDEX=
RUN python -m venv /opt/venv
COPY LICENSE README.md pyproject.toml /source/
COPY requirements /source/requirements
COPY pipelines /source/pipelines
COPY src /source/src
RUN /opt/venv/bin/pip install ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} \
    --constraint /source/requirements/tests.txt "/source[embedded,${FRAMEWORKS}]"

FROM python:3.11.13-slim-bookworm
COPY --from=made /opt/venv /opt/venv
COPY pipelines /opt/cdl/pipelines
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cdl \
    && install --directory --owner cdl --group cdl /var/lib/cdl
USER 10001:10001
WORKDIR /var/lib/cdl
# Which engine is said by whoever starts it: python -m cdl.embedded.pachd, .determined or .seldon.
CMD ["python", "-m", "cdl.embedded.pachd", "--help"]
