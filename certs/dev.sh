#!/usr/bin/env bash
# Makes a development CA, a server certificate and, if asked, a client certificate.
#
#   certs/dev.sh [--force] [--client NAME] [DIR]
#
# DIR is certs/dev beside this script unless given. Existing files are never overwritten without
# --force, which makes a new CA too; --client alone, on a DIR that has a CA, only adds the client.
set -euo pipefail

force=
client=
dir=
while [ $# -gt 0 ]; do
    case $1 in
    --force) force=yes ;;
    --client)
        client=${2:?--client needs a name}
        shift
        ;;
    -*)
        echo "unknown flag $1; usage: certs/dev.sh [--force] [--client NAME] [DIR]" >&2
        exit 2
        ;;
    *)
        if [ -n "$dir" ]; then
            echo "one directory at most, not also $1" >&2
            exit 2
        fi
        dir=$1
        ;;
    esac
    shift
done
dir=${dir:-$(cd "$(dirname "$0")" && pwd)/dev}
case $client in
*[!A-Za-z0-9._:-]* | [.:-]* | ca | server)
    # The name becomes a file's name and a subject.
    echo "--client $client: a letter or digit, then those and . _ : -, and neither ca nor server" >&2
    exit 2
    ;;
esac
# curl takes what follows a colon in a certificate's path for a password.
file=${client//:/-}

umask 077
mkdir -p "$dir"
days=825

# refuse FILE…: ends if one exists.
refuse() {
    [ -z "$force" ] || return 0
    local path
    for path in "$@"; do
        if [ -e "$path" ]; then
            echo "$path exists; --force makes all anew" >&2
            exit 1
        fi
    done
}

# Everything is made in a directory beside and moved at the end, so that a failure leaves no
# certificate without its key.
part=$(mktemp -d "$dir/.part.XXXXXX")
trap 'rm -rf "$part"' EXIT

# key NAME: genpkey writes PKCS#8.
key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$part/$1.key"
}

# issue NAME SUBJECT EXTENSIONS: a leaf signed by the CA in $ca.
issue() {
    key "$1"
    openssl req -new -key "$part/$1.key" -subj "$2" -out "$part/$1.csr"
    openssl x509 -req -in "$part/$1.csr" -CA "$ca.pem" -CAkey "$ca.key" -set_serial \
        "0x$(openssl rand -hex 16 | sed 's/^./4/')" -days "$days" -sha256 \
        -extfile <(printf '%s\n' 'basicConstraints=critical,CA:FALSE' \
            'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' \
            'keyUsage=critical,digitalSignature' "$3") \
        -out "$part/$1.pem" 2>"$part/log" || { cat "$part/log" >&2; exit 1; }
    rm "$part/$1.csr"
}

names=()
if [ -z "$client" ] || [ -n "$force" ] || [ ! -e "$dir/ca.pem" ]; then
    refuse "$dir/ca.pem" "$dir/ca.key" "$dir/server.pem" "$dir/server.key"
    ca=$part/ca
    key ca
    openssl req -x509 -new -key "$ca.key" -subj "/CN=berth development CA" -days "$days" -sha256 \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$ca.pem"
    issue server "/CN=berth.berth-system.svc" \
        $'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,DNS:berth.berth-system.svc,IP:127.0.0.1,IP:::1'
    names+=(ca server)
else
    ca=$dir/ca
fi
if [ -n "$client" ]; then
    refuse "$dir/$file.pem" "$dir/$file.key"
    issue "$file" "/CN=$client" 'extendedKeyUsage=clientAuth'
    names+=("$file")
fi

for name in "${names[@]}"; do
    chmod 600 "$part/$name.key"
    chmod 644 "$part/$name.pem"
    mv "$part/$name.key" "$part/$name.pem" "$dir/"
    echo "wrote $dir/$name.pem $dir/$name.key"
done

# word TEXT: as a shell reads it.
word() { printf '%q' "$1"; }
captures=$(cd "$(dirname "$0")/.." && pwd)/tests/data/captures
serve="cargo run -- serve --snapshot $(word "$captures/cluster.json") --tls-cert $(word "$dir/server.pem") --tls-key $(word "$dir/server.key")"
curl="curl --cacert $(word "$dir/ca.pem")"
if [ -n "$client" ]; then
    serve+=" --client-ca $(word "$dir/ca.pem")"
    curl+=" --cert $(word "$dir/$file.pem") --key $(word "$dir/$file.key")"
fi
echo
echo "Serve with it, on a captured cluster:"
echo "$serve"
echo "Then, in another terminal, ask as kube-apiserver does:"
echo "$curl https://localhost:8443/mutate --data-binary @$(word "$captures/admission-create-vm-bridge.json")"
