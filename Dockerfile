# The server, on a slim Debian, as a user without rights.
#
#   docker build -t devmason-server .
#   docker run -p 8080:8080 -v devmason:/data devmason-server

FROM rust:1.95-bookworm AS build
# The image has this toolchain already; without the variable, rust-toolchain.toml would have rustup
# fetch rustfmt and clippy, too.
ENV RUSTUP_TOOLCHAIN=1.95.0
# SQLite, libpq and OpenSSL are compiled from source.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin devmason-server

FROM debian:bookworm-slim
# The certificates are for sslmode=verify-full with
# sslrootcert=/etc/ssl/certs/ca-certificates.crt.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin devmason \
    && mkdir /data \
    && chown devmason:devmason /data
COPY --from=build /src/target/release/devmason-server /usr/local/bin/devmason-server
USER devmason
WORKDIR /data
VOLUME /data
EXPOSE 8080
# As variables, so that `docker run -e DEVMASON_DATABASE_URL=postgres://...` replaces them.
ENV DEVMASON_LISTEN=0.0.0.0:8080 \
    DEVMASON_DATABASE_URL=sqlite:/data/devmason.db
# The exec form, so that the server itself gets SIGTERM.
CMD ["devmason-server"]
