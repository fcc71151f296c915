ARG BASE
FROM ${BASE}
ENV PYTHONUNBUFFERED=1
COPY autoheal.py /opt/
ENTRYPOINT ["python3", "/opt/autoheal.py"]
