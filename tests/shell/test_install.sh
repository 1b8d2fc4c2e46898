#!/bin/bash
# `make install` into a fresh folder, and the program of docs/examples built against what lies there, in C, C++ and with the archive.
. "$(dirname "$0")/checks.sh"
MAKEFLAGS=$(echo "$MAKEFLAGS" | sed -E 's/ ?--jobserver-[a-z]+=[^ ]+//; s/ ?-j[0-9]*//') # this make is no part of the one that runs the tests
export MAKEFLAGS
unset DESTDIR PREFIX LIBDIR
CC=${CC:-cc} CXX=${CXX:-c++}
root=$scratch/root prefix=/opt/fovea
installed=$root$prefix

make_quietly() {
    make --no-print-directory BUILD="$build" "$@"
}

files_are_where_they_belong() {
    make_quietly install PREFIX=$prefix DESTDIR="$root" || exit 1
    version=$("$installed/bin/fovea" --version | sed 's/fovea \([0-9.]*\) .*/\1/')
    expect "$(cd "$root" && find . ! -type d | LC_ALL=C sort)" "./opt/fovea/bin/fovea
./opt/fovea/include/fovea/base/public.h
./opt/fovea/include/fovea/fovea.h
./opt/fovea/lib/libfovea.a
./opt/fovea/lib/libfovea.so
./opt/fovea/lib/libfovea.so.0
./opt/fovea/lib/libfovea.so.$version
./opt/fovea/lib/pkgconfig/fovea.pc
./opt/fovea/share/bash-completion/completions/fovea
./opt/fovea/share/fish/vendor_completions.d/fovea.fish
./opt/fovea/share/man/man1/fovea.1
./opt/fovea/share/zsh/site-functions/_fovea"
    expect "$(PKG_CONFIG_PATH=$installed/lib/pkgconfig pkg-config --modversion fovea)" "$version"
}

no_file_names_the_build_tree() {
    expect "$(grep -rl "$PWD" "$root")" ""
    expect "$(grep -rl "$root" "$root")" ""
}

# The functions of the installed headers are the symbols of the libraries, all of them and no others.
the_api_is_visible_and_nothing_else() {
    api=$(cat "$installed"/include/fovea/*.h "$installed"/include/fovea/base/*.h | sed -nE 's/^FV_API .*\b(fv_[a-z_]+)\(.*/\1/p' | sort)
    [ "$(echo "$api" | wc -l)" -gt 15 ] || exit 1
    expect "$(nm -D --defined-only "$installed/lib/libfovea.so" | awk '{ print $3 }' | sort)" "$api"
    expect "$(nm -g --defined-only "$installed/lib/libfovea.a" | awk 'NF == 3 { print $3 }' | sort)" "$api"
    objdump -p "$installed/lib/libfovea.so" | grep -q 'SONAME *libfovea.so.0$'
}

# A model of vessels, a photograph as the program reads it, and what `fovea predict` finds in it.
prepare() {
    cat >"$scratch/tiny.ini" <<INI
[model]
network = unet
base = 8
depth = 2
classes = vessel
[data]
phantoms = 12
phantom_side = 96
[preprocess]
fov_diameter = 160
size = 64
tile = 128
[optimizer]
rate = 1e-2
average_decay = 0
[train]
batch = 2
epochs = 8
picture_every = 0
INI
    python3 tests/shell/eye.py "$scratch/eye.bmp" "$scratch/eye.ppm" || exit 1
    (cd "$scratch" && "$fovea" train tiny.ini run.dir=run --quiet && "$fovea" predict run eye.bmp --out found --quiet) || exit 1
    # "name value" of each column with a number between the size and the source of the scale, as the program prints them
    awk -F, 'NR == 1 { n = split($0, name, ",") } NR == 2 { for (i = 4; i <= n - 2; i++) if ($i != "") print name[i], $i }' \
        "$scratch/found/measures.csv" >"$scratch/expected"
    [ "$(wc -l <"$scratch/expected")" -gt 10 ]
}

expect_measures() {
    "$1" "$scratch/run/best.safetensors" <"$scratch/eye.ppm" >"$scratch/printed" || exit 1
    expect "$(grep -v '^[#.]*$\|mask of\|share_of_photo\|nan' "$scratch/printed")" "$(cat "$scratch/expected")"
    grep -q '^[.#]*#[.#]*$' "$scratch/printed" || exit 1
    "$1" "$scratch/eye.ppm" <"$scratch/eye.ppm" 2>"$scratch/sentence"
    expect $? 2
    grep -q "^embed: $scratch/eye.ppm" "$scratch/sentence"
}

of_installed() {
    PKG_CONFIG_PATH=$installed/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" fovea
}

the_example_in_c() {
    cp docs/examples/embed.c "$scratch" && cd "$scratch" || exit 1
    [ "$(wc -l <embed.c)" -lt 40 ] || exit 1
    $CC embed.c $(of_installed --cflags --libs) -o embed_c || exit 1
    LD_LIBRARY_PATH=$installed/lib expect_measures ./embed_c
    $CC -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only embed.c $(of_installed --cflags)
}

the_example_in_cxx() {
    cd "$scratch" || exit 1
    for standard in c++98 c++20; do
        $CXX -x c++ -std=$standard -Wall -Wextra -Werror -pedantic embed.c -x none $(of_installed --cflags --libs) -o embed_cxx || exit 1
    done
    LD_LIBRARY_PATH=$installed/lib expect_measures ./embed_cxx
}

# --static also names what the libraries below ours are made of (-lgfortran), which a shared one of them does not need and may not be there.
there() {
    case $1 in
    -l*) echo 'int main(void) { return 0; }' | $CC -x c - -o there $folders "$1" 2>/dev/null ;;
    -L*) folders="$folders $1" ;;
    esac
}

# Without DESTDIR, into a folder of one's own; the archive alone.
the_example_with_the_archive() {
    make_quietly install PREFIX="$scratch/own" || exit 1
    rm "$scratch"/own/lib/libfovea.so* || exit 1
    cd "$scratch" || exit 1
    for word in $(PKG_CONFIG_PATH=own/lib/pkgconfig pkg-config --static --cflags --libs fovea); do
        there "$word" && words="$words $word"
    done
    $CC embed.c $words -o embed_archive || exit 1
    expect_measures ./embed_archive
}

uninstalling_leaves_nothing() {
    touch "$installed/include/other.h"
    make_quietly uninstall PREFIX=$prefix DESTDIR="$root" || exit 1
    expect "$(find "$root" ! -type d)" "$installed/include/other.h"
    [ ! -e "$installed/include/fovea" ]
}

checks="files_are_where_they_belong no_file_names_the_build_tree the_api_is_visible_and_nothing_else prepare
the_example_in_c the_example_in_cxx the_example_with_the_archive uninstalling_leaves_nothing"
for name in $checks; do
    if nm "$build/libfovea.a" 2>/dev/null | grep -q '__[au]bsan\|__asan'; then
        skip "$name" "a library with sanitizers is not installed"
    else
        check "$name"
    fi
done
exit $failed
