# The plain server as an image: docs/container.md has how to run it, docs/adr/0191-the-image-of-the-plain-server.md the reasons.
# Without a syntax line, so that no frontend is fetched: BuildKit, Podman and Buildah all know what is used here.

# The same Node as in package.json (optionalDependencies); test/house/container.test.ts compares them.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

# Everything that builds and runs. A private registry: --secret id=npmrc,src=$HOME/.npmrc
FROM ${NODE_IMAGE} AS install
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts

# What the server imports at run time. In a stage without sources, so that only a change of the lock file changes this layer.
FROM install AS packages
RUN npm prune --omit=dev --omit=optional --ignore-scripts

# The sources as one script, which starts faster and takes less memory than files whose types are removed at each start. And the
# bill of materials of both.
FROM install AS build
COPY local local
COPY scripts scripts
COPY src src
RUN node --input-type=module --eval "import { buildServer } from './scripts/build/server.ts'; await buildServer('dist/server')"

FROM ${NODE_IMAGE}
# Nothing installs packages here, and scanners report what package managers bundle.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn*
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist/server.cdx.json sbom.cdx.json
COPY --from=build /app/dist/server ./
COPY LICENSE ./

# Everything else comes from the environment of the container; .env.example lists it.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
EXPOSE 3000
# The number, so that an orchestrator can check that it is not root without reading /etc/passwd. In the base image: node.
USER 1000:1000

# Liveness: a restart does not bring DynamoDB back. Load balancers ask /health/ready.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]

# Node itself is process 1, without npm and a shell, so SIGTERM reaches the server, which drains and exits with 0. It has no
# children that an init process would have to reap.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "index.mjs"]

# Last, because they change with each build.
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="user-service" \
      org.opencontainers.image.description="Registration, sign-in and profiles: the plain server" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
