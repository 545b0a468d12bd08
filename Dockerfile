# One image per service: docker build --build-arg SERVICE=api|syncer|simulator|proxy .
# (SERVICE=tests makes the image that runs the tests inside)
ARG SERVICE=api

FROM python:3.12-slim AS python
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# the image comes without compiled modules, and a read-only container would compile them at each start and health check
RUN python -m compileall -q -j 0 -x 'site-packages|/test/|/tests/|/idlelib/|/tkinter/' /usr/local/lib/python3.12

# ---- the project's own wheel, built with locked tools
FROM python AS wheel
WORKDIR /build
COPY requirements/build.txt requirements/
RUN --mount=type=cache,target=/var/cache/pip PIP_CACHE_DIR=/var/cache/pip \
    pip install --quiet --root-user-action=ignore --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY docs/errors.md docs/
COPY migrations migrations
COPY src src
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels .

# ---- what one service needs, and nothing else
FROM python AS installed
ARG SERVICE
RUN python -m venv --without-pip /app
COPY requirements/${SERVICE}.txt requirements.txt
RUN --mount=type=cache,target=/var/cache/pip PIP_CACHE_DIR=/var/cache/pip \
    pip --python /app/bin/python install --quiet --compile --require-hashes --no-deps --only-binary :all: -r requirements.txt
COPY --from=wheel /wheels /wheels
RUN pip --python /app/bin/python install --quiet --compile --no-deps --no-index /wheels/*.whl

FROM python AS runtime
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin marketdata
COPY --from=installed /app /app
ENV PATH=/app/bin:$PATH
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["marketdata"]

FROM runtime AS api
ENV MARKETDATA_HOST=0.0.0.0 MARKETDATA_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=4s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-IS", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=3)"]
CMD ["api"]

FROM runtime AS syncer
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["marketdata", "syncer", "--health"]
CMD ["syncer"]

FROM runtime AS simulator
ENV MARKETDATA_HOST=0.0.0.0
EXPOSE 9000
HEALTHCHECK --interval=30s --timeout=4s --start-period=30s --start-interval=2s --retries=3 \
    CMD ["python", "-IS", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9000/_control/about', timeout=3)"]
CMD ["simulate", "--port", "9000"]

# ---- a reverse proxy that ends TLS, for compose.proxy.yaml
FROM debian:bookworm-slim AS proxy
RUN apt-get update -qq && apt-get install --yes -qq --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin marketdata
COPY deploy/nginx.conf /etc/nginx/nginx.conf
USER 10001:10001
EXPOSE 8443
HEALTHCHECK --interval=30s --timeout=4s --start-period=30s --start-interval=2s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8443"]
ENTRYPOINT ["nginx", "-e", "/dev/stderr", "-g", "daemon off;"]

# ---- the whole tree with the developer tools; the tests bring their own PostgreSQL
FROM python AS tests
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin marketdata \
    && python -m venv --without-pip /app
WORKDIR /project
COPY requirements/dev.txt requirements/
RUN --mount=type=cache,target=/var/cache/pip PIP_CACHE_DIR=/var/cache/pip \
    pip --python /app/bin/python install --quiet --compile --require-hashes --no-deps --only-binary :all: -r requirements/dev.txt
COPY . .
RUN pip --python /app/bin/python install --quiet --no-deps --no-build-isolation --editable .
ENV PATH=/app/bin:$PATH HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
USER 10001:10001
ENTRYPOINT ["pytest", "-p", "no:cacheprovider"]

FROM ${SERVICE}
