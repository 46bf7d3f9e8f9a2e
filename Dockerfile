# The reference node as an image to build and push where you like. The harness does not need it: on Linux it makes an image of the
# running Node binary by itself, in a second and without a registry (docs/containers.md). Both keep the same contract: the files
# are mounted under /cle, the configuration is /cle/cle.yaml, it runs as any user, without capabilities, on a read-only root.
#
#   docker build -t registry.example/cle-node:1 . && docker push registry.example/cle-node:1
#   npm run testnet -- --image registry.example/cle-node:1

FROM node:24-slim AS bundle
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# Nothing of what is needed here runs a script at its installation: the native add-ons come compiled.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY node node
# Compiled code is good only for the Node that compiled it, hence the same base twice.
RUN node --import tsx node/bundle.ts && mv dist/node-* /node && mkdir -p /cle/data && chown -R 1000:1000 /cle

FROM node:24-slim
COPY --from=bundle /node /node
COPY --from=bundle --chown=1000:1000 /cle /cle
ENV CLE_CONFIG=/cle/cle.yaml
EXPOSE 8888
USER 1000:1000
ENTRYPOINT ["/usr/local/bin/node", "/node/node.cjs"]
