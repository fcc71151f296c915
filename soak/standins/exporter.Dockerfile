ARG BASE
FROM ${BASE}
COPY constraints.txt exporter.py /opt/exporter/
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install -q -c /opt/exporter/constraints.txt kafka-python
USER 65534:65534
EXPOSE 9308
ENTRYPOINT ["/opt/venv/bin/python", "/opt/exporter/exporter.py"]
