# The monitor, in any role; without arguments the Kafka sidecar. Builds on any image with Python 3.11 or newer and venv:
#   docker build -t celery-health-monitor .
#   docker build --build-arg BASE=debian-with-python3 --build-arg EXTRAS=server,kafka -t celery-health-monitor .
# Runs as nobody in particular, on a read-only root file system with a tmpfs at /tmp.
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE} AS build
# What pip must know here, if anything. This stage, and with it the arguments, is not part of the image.
ARG PIP_CERT
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG EXTRAS=server,apprise,hiredis,kafka,postgres
RUN python3 -m venv /opt/monitor
WORKDIR /src
COPY pyproject.toml README.md constraints.txt ./
COPY monitor monitor
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /opt/monitor /opt/monitor
ENV PATH=/opt/monitor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000 9011
# Is the process alive? For another role than the sidecar: PROBE_URL, or another HEALTHCHECK (docs/docker.md).
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD monitor probe "${PROBE_URL:-http://127.0.0.1:9011/health}"
ENTRYPOINT ["monitor"]
CMD ["sidecar"]
