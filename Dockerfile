# berth as an image: docker build -t berth:0.1.0 .   (or podman, or buildah)
#
# Both stages are of Debian 12, so that the C library that berth is linked with is the one that it
# runs on. Where these registries are out of reach: --build-arg BUILDER=… --build-arg RUNTIME=…
ARG BUILDER=docker.io/library/rust:1.95.0-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot
# A tag may be moved; a digest may not: sha256:… of each, which docs/install.md shows how to look up.
ARG BUILDER_DIGEST=
ARG RUNTIME_DIGEST=

FROM ${BUILDER}${BUILDER_DIGEST:+@${BUILDER_DIGEST}} AS build
WORKDIR /src
# .dockerignore lets in what the build reads, and nothing else.
COPY . .
RUN cargo build --release --locked --bin berth

# No shell and no package manager: berth is one file, and needs the C library and libgcc.
FROM ${RUNTIME}${RUNTIME_DIGEST:+@${RUNTIME_DIGEST}}
COPY --from=build /src/target/release/berth /usr/local/bin/berth
# The lists of a large cluster come through once: given back, not kept for later (docs/benchmarks.md).
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=1048576
# By number, so that the kubelet can tell that it is not root.
USER 65532:65532
# HTTPS, and the admin port.
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/berth"]
CMD ["serve"]
