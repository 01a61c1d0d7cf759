# syntax=docker/dockerfile:1
# The helper: git and the agent. The agent copies itself from here into the
# job's pod, so that the user's image needs nothing but a shell.
#
#   docker build -f deploy/helper.Dockerfile --build-arg VERSION=1.0.0 -t runnerd-helper .
FROM --platform=$BUILDPLATFORM golang:1.26-trixie AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY internal internal
COPY pkg pkg
# Static: it runs in the user's image as well, whatever C library that has.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION" \
    -o /out/runnerd-agent ./cmd/runnerd-agent

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="runnerd-helper" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git git-lfs \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && git lfs install --system --skip-repo
COPY --from=build /out/runnerd-agent /usr/bin/runnerd-agent
# Executors pass the whole command; this one helps whoever runs the image by hand.
ENTRYPOINT ["/usr/bin/runnerd-agent"]
CMD ["version"]
