#!/bin/bash
# What a compiler is called with.
. "$(dirname "$0")/checks.sh"

flags_of() {
    make -n BUILD="$scratch/build" CFLAGS=-O2 "$scratch/build/obj/$1.o" | grep -e "-c $1.c" | tr ' ' '\n' | grep -x -e "$2"
}

own_flags_leave_instruction_sets() {
    expect "$(flags_of src/kernel/int8_avx512 '-O2\|-mavx512vnni\|-mavx512f')" "-O2
-mavx512f
-mavx512vnni"
    expect "$(flags_of src/kernel/norm_avx512 '-O2\|-mavx512vnni\|-mavx512f')" "-O2
-mavx512f"
}

if uname -m | grep -q x86_64; then
    check own_flags_leave_instruction_sets
else
    skip own_flags_leave_instruction_sets "no x86-64"
fi
exit $failed
