#!/usr/bin/env bash
# Fails unless KUBEBUILDER_ASSETS names a folder with the programs of a control plane, and says
# where they come from, and what is left out without an optional one.
set -euo pipefail

programs=(etcd kube-apiserver kubectl kube-scheduler)
dir=${KUBEBUILDER_ASSETS:-}
missing=()
for program in "${programs[@]}"; do
    [ -n "$dir" ] && [ -x "$dir/$program" ] || missing+=("$program")
done
if [ -n "$dir" ] && ! [ -x "$dir/virt-controller" ]; then
    cat >&2 <<'HOW'
KUBEBUILDER_ASSETS has no virt-controller: the scenarios that need it are left out. It comes from the
image of a KubeVirt release:

    container=$(docker create quay.io/kubevirt/virt-controller:v1.9.0)
    docker cp "$container:/usr/bin/virt-controller" "$KUBEBUILDER_ASSETS/"

HOW
fi
[ "${#missing[@]}" -gt 0 ] || exit 0

{
    if [ -z "$dir" ]; then
        echo "KUBEBUILDER_ASSETS is not set: it names a folder with ${programs[*]}."
    else
        echo "KUBEBUILDER_ASSETS: $dir lacks ${missing[*]}."
    fi
    cat <<'HOW'

controller-runtime's setup-envtest brings all of them but kube-scheduler:

    go install sigs.k8s.io/controller-runtime/tools/setup-envtest@latest
    export KUBEBUILDER_ASSETS=$(setup-envtest use -p path 1.36.x)

kube-scheduler comes from the Kubernetes release of the same version:

    version=$("$KUBEBUILDER_ASSETS/kube-apiserver" --version | cut -d ' ' -f 2)
    chmod u+w "$KUBEBUILDER_ASSETS"
    curl -fLo "$KUBEBUILDER_ASSETS/kube-scheduler" \
        "https://dl.k8s.io/release/$version/bin/$(go env GOOS)/$(go env GOARCH)/kube-scheduler"
    chmod +x "$KUBEBUILDER_ASSETS/kube-scheduler"
HOW
} >&2
exit 1
