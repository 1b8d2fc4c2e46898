#!/bin/sh
# Unpacks the arm64 libraries that the kernel tests are linked with into FOLDER (default build/arm64-root), as Debian's
# mirror has them. Nothing is installed, and apt's own lists stay as they are.
set -eu
folder=${1:-build/arm64-root}
packages="libcmocka-dev libcmocka0 libopenblas-pthread-dev libopenblas0-pthread libinih-dev libcsv-dev"
libraries="libgfortran5" # what OpenBLAS needs; libc and libgcc come with the cross compiler
[ -f "$folder/complete" ] && exit 0
state=$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")-apt
mkdir -p "$folder" "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
apt="apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State=$state -o Dir::State::status=$state/status \
-o Dir::Cache=$state/cache -o APT::Sandbox::User=root"
$apt update
cd "$state"
# shellcheck disable=SC2086
$apt download $packages $libraries
cd - >/dev/null
for archive in "$state"/*.deb; do dpkg-deb -x "$archive" "$folder"; done
touch "$folder/complete"
