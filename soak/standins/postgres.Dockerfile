ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql && apt-get clean \
    && ln -s /usr/lib/postgresql/*/bin/initdb /usr/lib/postgresql/*/bin/postgres /usr/local/bin/
COPY postgres.py /opt/
USER postgres
EXPOSE 5432
ENTRYPOINT ["python3", "/opt/postgres.py"]
