#!/bin/bash
# The manual page and the completions: nothing of --help is missing in them, and shells take them.
. "$(dirname "$0")/checks.sh"
"$fovea" help --man >"$scratch/fovea.1" || exit 1
for shell in bash zsh fish; do "$fovea" help --completion $shell >"$scratch/completion.$shell" || exit 1; done

# "train", "data check": what `fovea --help` lists, and the second words of those that have some.
commands() {
    "$fovea" --help | sed -n '/^usage/,/^examples/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
        "$fovea" "$command" --help | grep -q '^options:' && echo "$command"
        "$fovea" "$command" --help | sed -n "s/^fovea \($command [a-z]*\) .*; see .*/\1/p"
    done
}

options_of() {
    "$fovea" $1 --help | sed -n '/^options:/,/^examples/s/^  \(--[a-z-]*\) .*/\1/p'
}

# expect_line FILE COMMAND OPTION: a line that matches the pattern on standard input, in which both stand
plain_manual() {
    sed 's/\\-/-/g; s/\\f[BIR]//g; s/\\(aq/'"'"'/g; s/\\(dq/"/g; s/\\&//g' "$scratch/fovea.1"
}

all_commands_are_found() {
    [ "$(commands | wc -l)" -ge 10 ] || exit 1
    expect "$(commands | grep '^data')" "data check
data augment"
}

every_option_is_in_the_manual() {
    commands | while read -r command; do
        plain_manual | sed -n "/^\.SS \"fovea $command /,/^\.S[SH] /p" >"$scratch/section"
        plain_manual | sed -n '/^\.SH "OPTIONS OF EVERY/,/^\.SH "EXIT/p' >>"$scratch/section"
        for option in $(options_of "$command"); do
            grep -qE -- "^$option( |$)" "$scratch/section" || { echo "fovea $command $option is missing"; exit 1; }
        done
        "$fovea" $command --help | sed -n '/^examples:/,/^exit/s/^  fovea/  fovea/p' | while read -r example; do
            grep -qF -- "$example" "$scratch/section" || { echo "missing: $example"; exit 1; }
        done || exit 1
    done
}

every_option_is_in_the_completions() {
    commands | while read -r command; do
        for option in $(options_of "$command"); do
            sed -n "/^    '$command')/,/;;/p" "$scratch/completion.bash" | grep -q -- "$option " || { echo "bash: $command $option"; exit 1; }
            sed -n "/^    '$command')/,/;;/p" "$scratch/completion.zsh" | grep -q -- "'\*\?$option\[" || { echo "zsh: $command $option"; exit 1; }
            grep -q -- "__fish_seen_subcommand_from ${command//*data /data; and __fish_seen_subcommand_from }' -l ${option#--} " "$scratch/completion.fish" ||
                { echo "fish: $command $option"; exit 1; }
        done
    done
}

# complete WORD...: what bash offers for the last word
complete_words() {
    bash --norc -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fovea; echo "${COMPREPLY[*]}"' "$scratch/completion.bash" "$@"
}

bash_completes() {
    expect "$(complete_words fovea pre)" "predict"
    expect "$(complete_words fovea --v)" "--version"
    expect "$(complete_words fovea data '')" "check augment --help"
    expect "$(complete_words fovea data c)" "check"
    expect "$(complete_words fovea data check table.csv --li)" "--limit"
    expect "$(complete_words fovea eval run --sp)" "--split"
    expect "$(complete_words fovea eval run --split '')" "train val test all"
    expect "$(complete_words fovea eval run --split t)" "train test"
    expect "$(complete_words fovea train --threads '')" ""  # a number
    expect "$(complete_words fovea predict model --out -)" "" # a file
    expect "$(complete_words fovea help ins)" "inspect"
    expect "$(complete_words fovea help --completion f)" "fish"
    expect "$(complete_words fovea train file.ini model.wid)" "model.width="
    expect "$(complete_words fovea data check file.ini optimizer.rat)" "optimizer.rate="
    expect "$(complete_words fovea inspect file.ini --ba)" "--batch"
    expect "$(complete_words fovea predict model model.wid)" "" # takes no keys
    expect "$(bash --norc -c '. "$0"; complete -p fovea' "$scratch/completion.bash")" "complete -o default -F _fovea fovea"
}

# Readline itself, with a tab, where files are to be found.
bash_completes_files() {
    mkdir "$scratch/files" && cd "$scratch/files" && touch photograph.jpg || exit 1
    printf '. ../completion.bash\nPS1=\nset -o emacs\nfovea() { echo "given: $*"; }\nfovea predict model phot\t--ou\tresults\nexit\n' |
        INPUTRC=/dev/null TERM=dumb bash --norc --noprofile -i 2>/dev/null | grep -q 'given: predict model photograph.jpg --out results'
}

# Those of a real configuration are among those offered, and fovea takes all that are offered.
keys_are_those_of_settings() {
    sed -n "s/.* keys='\(.*\)'$/\1/p" "$scratch/completion.bash" | tr ' ' '\n' | grep . | sort >"$scratch/offered"
    [ "$(wc -l <"$scratch/offered")" -gt 60 ] || exit 1
    sed -n 's/^\[\(.*\)\]$/\1/p; s/^\([a-z_]*\) = .*/\1=/p' configs/od_oc.ini | awk '/=/ { print section "." $0; next } { section = $0 }' | sort >"$scratch/used"
    [ "$(wc -l <"$scratch/used")" -gt 5 ] || exit 1
    expect "$(comm -13 "$scratch/offered" "$scratch/used")" ""
    grep -qx 'model.network=' "$scratch/offered" || exit 1
    grep -q "model.network= " "$scratch/completion.zsh" && grep -q "seen_subcommand_from train' -a '.*model.network= " "$scratch/completion.fish"
}

groff_has_no_warnings() {
    expect "$(groff -ww -man -z "$scratch/fovea.1" 2>&1)" ""
    groff -man -Tascii "$scratch/fovea.1" | grep -q 'segmentation of retinal photographs'
}

mandoc_has_no_warnings() {
    expect "$(mandoc -T lint -W warning "$scratch/fovea.1")" ""
}

zsh_reads_it() {
    zsh -f -n "$scratch/completion.zsh"
}

fish_reads_it() {
    fish --no-execute "$scratch/completion.fish"
}

wrong_words() {
    expect "$("$fovea" help --completion tcsh 2>&1)" "fovea: --completion tcsh: expected bash, zsh or fish"
    expect "$("$fovea" help nothing 2>&1)" 'fovea: there is no command "nothing"; fovea --help lists them'
    expect "$("$fovea" help data nothing 2>&1)" 'fovea: there is no command "data nothing"; fovea --help lists them'
    expect "$("$fovea" help data check)" "$("$fovea" data check --help)"
    expect "$("$fovea" help)" "$("$fovea" --help)"
}

for name in all_commands_are_found every_option_is_in_the_manual every_option_is_in_the_completions bash_completes bash_completes_files keys_are_those_of_settings wrong_words; do
    check $name
done
if_there() {
    if command -v "$1" >/dev/null; then check "$2"; else skip "$2" "$1 is not installed"; fi
}
if_there groff groff_has_no_warnings
if_there mandoc mandoc_has_no_warnings
if_there zsh zsh_reads_it
if_there fish fish_reads_it
exit $failed
