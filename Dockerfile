# syntax=docker/dockerfile:1
# The server on slim Debian, running as an unprivileged user.
#
#   docker build --build-arg DEVMASON_COMMIT="$(git rev-parse --short=12 HEAD)" -t devmason-server .
#   docker run -p 8080:8080 -v devmason:/data devmason-server

# It has the C compiler, make and perl that SQLite, libpq and OpenSSL are compiled with.
FROM rust:1.95.0-bookworm AS build
# The image already has this toolchain. Without the variable, rust-toolchain.toml would make rustup
# fetch rustfmt and clippy as well. The binary has no debug information, but the names of functions
# for backtraces.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_PROFILE_RELEASE_DEBUG=none \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo
WORKDIR /src
COPY . .
# The commit that `devmason-server --version` names: the context has no git.
ARG DEVMASON_COMMIT=""
# The caches keep the dependencies, compiled, from one build to the next.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    DEVMASON_COMMIT="$DEVMASON_COMMIT" cargo build --release --locked --bin devmason-server \
    && cp target/release/devmason-server /usr/local/bin/devmason-server

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin devmason \
    && install --directory --owner=devmason --group=devmason /data
# Certificates for sslmode=verify-full with sslrootcert=/etc/ssl/certs/ca-certificates.crt.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/devmason-server /usr/local/bin/devmason-server
# The user devmason, as a number: Kubernetes' runAsNonRoot does not accept a name.
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Environment variables, so that `docker run -e DEVMASON_DATABASE_URL=postgres://...` overrides
# them.
ENV DEVMASON_LISTEN=0.0.0.0:8080 \
    DEVMASON_DATABASE_URL=sqlite:/data/devmason.db
# No HEALTHCHECK: the image has no HTTP client, and settings decide on the port and on TLS. Let the
# orchestrator ask /healthz and /readyz.
# Exec form, so that the server itself receives SIGTERM.
CMD ["devmason-server"]
