# syntax=docker/dockerfile:1
# The daemon: one static binary, the CA certificates, nobody's shell.
#
#   docker build -f deploy/runnerd.Dockerfile --build-arg VERSION=1.0.0 -t runnerd .
FROM --platform=$BUILDPLATFORM golang:1.26-trixie AS build
ARG TARGETOS TARGETARCH VERSION=dev REVISION=unknown BUILT=
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY internal internal
COPY pkg pkg
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION -X main.built=$BUILT" \
    -o /out/usr/bin/runnerd ./cmd/runnerd
# /tmp takes what of a job's log GitLab has not taken yet; mount an emptyDir
# there to keep it off the node's container file system.
RUN install -d -m 1777 /out/tmp && install -d -o 65532 -g 65532 -m 0700 /out/etc/runnerd \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
    && echo 'runnerd:x:65532:65532:runnerd:/:/sbin/nologin' >/out/etc/passwd \
    && echo 'runnerd:x:65532:' >/out/etc/group

FROM scratch
LABEL org.opencontainers.image.title="runnerd" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
# As a number, so that runAsNonRoot can check it.
USER 65532:65532
EXPOSE 9252
# SIGTERM, the default, lets go of the jobs in pods; the next runnerd, or another
# replica, goes on with them.
ENTRYPOINT ["/usr/bin/runnerd"]
CMD ["run"]
