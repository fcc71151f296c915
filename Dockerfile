# One image for every role of the monitor. Builds on any image with Python 3.11 or newer and venv:
#   docker build -t celery-health-monitor .
#   docker build --build-arg BASE=debian-with-python3 --build-arg EXTRAS=server,kafka -t celery-health-monitor .
# The command of the container chooses the role: web, worker, beat, up or sidecar. Without a command it prints the help.
# It runs as user 10001, on a read-only root file system with a tmpfs at /tmp.
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
# The extras of the package that the image contains (docs/versions.md). No other line names them.
ARG EXTRAS=server,apprise,hiredis,kafka,postgres

FROM ${BASE} AS build
# What pip must know here, if anything. This stage, and with it the arguments, is not part of the image.
ARG PIP_CERT
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG EXTRAS
RUN python3 -m venv /opt/monitor
WORKDIR /src
COPY LICENSE pyproject.toml README.md constraints.txt ./
COPY monitor monitor
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
# A build knows its commit: --label org.opencontainers.image.revision=$(git rev-parse HEAD)
ARG BASE
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="celery-health-monitor" \
      org.opencontainers.image.description="Health monitor for Django, Celery, Redis and Kafka: every role" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.url="https://github.com/celery-health-monitor/celery-health-monitor" \
      org.opencontainers.image.source="https://github.com/celery-health-monitor/celery-health-monitor" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /opt/monitor /opt/monitor
ENV PATH=/opt/monitor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000 9011
# Is the role of this container alive, whichever it is? PROBE_URL requests another endpoint instead. A role has five
# minutes to start, because a project may take long to import. After its first success, failures count at once.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD monitor probe "${PROBE_URL:-role}"
ENTRYPOINT ["monitor"]
CMD ["--help"]
