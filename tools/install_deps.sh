#!/bin/sh
# Installs the Debian or Ubuntu packages that fovea is built from, only those that are missing.
packages="gcc make pkg-config git ca-certificates python3 libc6-dev libopenblas-dev libstb-dev libjpeg-dev libdeflate-dev libtiff-dev libgif-dev
libinih-dev libcjson-dev libcairo2-dev libexif-dev libcsv-dev libcmocka-dev fonts-dejavu-core
g++ libhdf5-dev libzip-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libonnx-dev libflatbuffers-dev flatbuffers-compiler"
command -v dpkg-query >/dev/null 2>&1 || {
    echo "make deps knows Debian and Ubuntu; install the equivalents of: $packages" >&2
    exit 0
}
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
echo "the packages could not be installed; run as root, or install them by hand:$missing" >&2
exit 3
