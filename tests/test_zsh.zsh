#!/usr/bin/env zsh
# test_zsh.zsh FOLDER: drives an interactive zsh in which FOLDER/_moco is a completion. Behind typed
# words comes a tab; what the command line then holds, or what is listed, must match.
zmodload zsh/zpty || { print 'left out: zsh has no module zpty'; exit 0 }
folder=$1
failures=0

zpty z zsh -f -i
zpty -w z "PS1='' PS2='' TERM=dumb; unset zle_bracketed_paste; setopt nobeep nolistambiguous nolistbeep; LISTMAX=1000"
zpty -w z "fpath=($folder \$fpath); autoload -U compinit; compinit -u -d $folder/dump; cd $folder"
zpty -w z 'zstyle ":completion:*" list-separator "--"; bindkey "^I" complete-word'
# Ctrl-X prints the line between marks and empties it
zpty -w z 'show() { print -r -- "<line>$BUFFER</line>"; BUFFER= }; zle -N show; bindkey "^X" show'
zpty -w z 'print rea""dy'
zpty -r -m z out '*ready*' || { print 'FAILED: zsh did not start'; exit 1 }

# expect TYPED PATTERN: one tab
expect() {
    local out
    zpty -w -n z "$1"$'\t\x18'
    zpty -r -m z out '*</line>*'
    out=${out//$'\r'/}
    if [[ $out != *${~2}* ]]; then
        print -r -- "FAILED: zsh behind '$1': ${(V)out}"
        failures=$((failures + 1))
    fi
}

expect 'moco kn' '<line>moco knn </line>'
expect 'moco knn run --feature ' '*backbone*head*pixels*'
expect 'moco knn run --feature ba' '<line>moco knn run --feature backbone </line>'
expect 'moco train --method memo' '<line>moco train --method memory-bank </line>'
expect 'moco train --no-shuf' '<line>moco train --no-shuffle-bn </line>'
expect 'moco train synth' '<line>moco train synthetic:</line>'
expect 'moco embed run fold' '<line>moco embed run folder:</line>'
expect 'moco train --optimizer ' '*adamw*lars*sgd*'
expect 'moco knn --simd avx' '*avx2*avx512*'
expect 'moco knn run --kn' "*--knn-k*neighbours that vote*"
expect 'moco help expo' '<line>moco help export </line>'
zpty -d z
exit $((failures > 0))
