ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless && apt-get clean
COPY jars /opt/kafka/libs
COPY kafka.py /opt/kafka/
USER 1000:1000
EXPOSE 9092
CMD ["python3", "/opt/kafka/kafka.py"]
