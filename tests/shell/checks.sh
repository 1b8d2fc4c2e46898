# Sourced by the test programs of this folder: a check is a function; what it returns decides, and its output is shown when it failed.
# Its lines look like cmocka's, which tools/run_tests.sh counts.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
fovea=${FOVEA:-$PWD/$build/fovea}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

check() {
    echo "[ RUN      ] $1"
    if ("$1") >"$scratch/log" 2>&1; then
        echo "[       OK ] $1"
    else
        cat "$scratch/log"
        echo "[  FAILED  ] $1"
        failed=1
    fi
}

skip() {
    echo "skip: $1: $2"
    echo "[  SKIPPED ] $1"
}

# expect "got" "expected"
expect() {
    [ "$1" = "$2" ] && return
    printf 'got:      %s\nexpected: %s\n' "$1" "$2"
    exit 1
}
