# Builds Access Bot with all connectors: docker build --build-arg VERSION=1.2.3 --tag access-bot .
# docs/deploy.md says how to run it. The image has no secrets and no pip, and of roles.toml only the example.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv --without-pip /opt/access-bot && python -m venv /opt/build
RUN /opt/build/bin/pip --python /opt/access-bot/bin/python install --no-cache-dir --only-binary=:all: --require-hashes -r requirements.txt
RUN /opt/build/bin/pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements-build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE roles.toml ./
COPY bot bot
COPY storage storage
ARG VERSION=0.0.0
RUN SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /opt/wheel .
RUN /opt/build/bin/pip --python /opt/access-bot/bin/python install --no-deps --no-index /opt/wheel/*.whl

FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 access-bot \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/access-bot --shell /usr/sbin/nologin access-bot \
 && install --directory --mode=700 --owner=10001 --group=10001 /var/lib/access-bot
COPY --from=build /opt/access-bot /opt/access-bot
ENV PATH=/opt/access-bot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    ACCESS_ROLES=/etc/access-bot/roles.toml
# SQLite's database and copies of it; nothing else is written, except to /tmp.
WORKDIR /var/lib/access-bot
VOLUME /var/lib/access-bot
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 3000), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["access-bot", "run"]
