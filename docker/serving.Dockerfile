# The model server: docker build --file docker/serving.Dockerfile --tag cdl/serving:0.1.0 .
FROM python:3.11.13-slim-bookworm AS made
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# What the served models are made with: tf, torch, or both.
ARG FRAMEWORKS=tf,torch
# Where else packages are looked for, as for a build of torch without CUDA.
ARG EXTRA_INDEX=
RUN python -m venv /opt/venv
COPY LICENSE README.md pyproject.toml /source/
COPY requirements /source/requirements
COPY pipelines /source/pipelines
COPY src /source/src
RUN /opt/venv/bin/pip install ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} \
    --constraint /source/requirements/tests.txt "/source[serving,${FRAMEWORKS}]"

FROM python:3.11.13-slim-bookworm
COPY --from=made /opt/venv /opt/venv
# A pod is asked from outside itself.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 CDL_HOST=0.0.0.0
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cdl
USER 10001:10001
WORKDIR /tmp
EXPOSE 9000 9500 6000
CMD ["cdl-serve"]
