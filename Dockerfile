# berth as an image: docker build -t berth:0.1.0 .   (or podman, or buildah)
#
# Both stages use Debian 12, so that berth is linked with the C library that it runs with. If these
# registries are out of reach: --build-arg BUILDER=… --build-arg RUNTIME=…
ARG BUILDER=docker.io/library/rust:1.95.0-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot
# A tag can move, a digest cannot. docs/install.md shows how to look up the digests (sha256:…).
ARG BUILDER_DIGEST=
ARG RUNTIME_DIGEST=

FROM ${BUILDER}${BUILDER_DIGEST:+@${BUILDER_DIGEST}} AS build
WORKDIR /src
# .dockerignore admits only what the build reads.
COPY . .
RUN cargo build --release --locked --bin berth

# Without a shell and package manager: berth is one file that needs the C library and libgcc.
FROM ${RUNTIME}${RUNTIME_DIGEST:+@${RUNTIME_DIGEST}}
COPY --from=build /src/target/release/berth /usr/local/bin/berth
# Return the memory of the first lists to the system (docs/benchmarks.md).
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=1048576
# A number, so that the kubelet can verify that it is not root.
USER 65532:65532
# HTTPS, and the admin port.
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/berth"]
CMD ["serve"]
