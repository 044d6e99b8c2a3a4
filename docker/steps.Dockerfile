# The built-in steps of data pipelines: docker build --file docker/steps.Dockerfile --tag cdl/steps:0.1.0 .
# Those about pictures need Pillow, the others nothing but Python.
FROM python:3.11.13-slim-bookworm
COPY requirements/tests.txt /tmp/tests.txt
RUN pip install --no-cache-dir --disable-pip-version-check --constraint /tmp/tests.txt pillow && rm /tmp/tests.txt
COPY pipelines /opt/cdl/pipelines
# What checks mean is one library for steps, trials and model servers.
COPY src/cdl/__init__.py /opt/cdl/src/cdl/__init__.py
COPY src/cdl/checks /opt/cdl/src/cdl/checks
ENV PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cdl
USER 10001:10001
WORKDIR /tmp
# Which step is said by the pipeline.
CMD ["python", "--version"]
