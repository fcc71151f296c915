ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server && apt-get clean \
    && ln -s /usr/bin/redis-server /usr/local/bin/valkey-server && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli
USER 65534:65534
WORKDIR /tmp
EXPOSE 6379
ENTRYPOINT ["/bin/sh", "-c", "exec \"$@\" --bind 0.0.0.0 --protected-mode no", "--"]
CMD ["valkey-server"]
