# One image for every part of Mayfly; the command says which: see docker-compose.yml.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}

# What sandboxes are made with. A base that brings it needs no network.
RUN command -v bwrap || { apt-get update && apt-get install -y --no-install-recommends bubblewrap python3 && rm -rf /var/lib/apt/lists/*; }
RUN mkdir -p /var/lib/mayfly && chown 1000:1000 /var/lib/mayfly

WORKDIR /opt/mayfly
# `true` where the build context brings node_modules.
ARG INSTALL="npm ci --omit=dev"
COPY package.json package-lock.json .npmrc ./
RUN ${INSTALL}
COPY . .

ENV MAYFLY_HOME=/var/lib/mayfly
USER 1000:1000
ENTRYPOINT ["/opt/mayfly/bin/mayfly.js"]
CMD ["--help"]
