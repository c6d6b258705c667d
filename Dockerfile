# The image for people with a docker:  docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=$(git describe --tags --always) .
# Releases are built by `make image`, which needs no docker and gives the same digest every time.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH VERSION=dev REVISION=""
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION" -o /dagger-inject ./cmd/dagger-inject

FROM scratch
# For `dagger-inject wait`, which trusts these where a policy names no CA.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /dagger-inject /dagger-inject
ARG VERSION=dev REVISION=""
LABEL org.opencontainers.image.title="dagger-inject" \
      org.opencontainers.image.description="Mutating admission webhook that makes CI runner pods able to use a Dagger Engine" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source="https://github.com/dagger-inject/dagger-inject" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENTRYPOINT ["/dagger-inject"]
