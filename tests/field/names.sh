#!/bin/sh
# names.sh: names of files that hold escape sequences, bytes of no character, formulas: what is
# printed can only be read, JSON is UTF-8 and gives the bytes back, tables run nothing.
. "$(dirname "$0")/lib.sh"

esc=$(printf '\033')
bad=$(printf '\377')
mkdir -p "set/a" "set/b"
for i in 1 2 3 4 5 6 7 8; do
    "$draw" png "set/a/$i.png" 16x16x3 100 50 "$i"
    "$draw" png "set/b/$i.png" 16x16x3 100 50 "1$i"
done
cp set/a/1.png "set/a/${esc}[31mred.png"
cp set/a/2.png "set/a/$bad.png"
cp set/a/3.png "set/b/=1+2.png"
echo rubbish >"set/b/${esc}]0;title.png"

status 0 "names on the terminal" data set --list 20
check "$(tr -d '\n\t -~' <out | wc -c)" 0 "bytes on standard output that act"
says out 'a/\\x1b\[31mred\.png' "an escape byte"
says out 'a/\\xff\.png' "a byte of no character"
status 1 "the name of a file in a sentence" knn "$work/${esc}[2J" --train set --test set
check "$(tr -d '\n\t -~' <err | wc -c)" 0 "bytes on standard error that act"

status 0 "names in JSON" data set --list 20 --json
says out 'a/\\u001b\[31mred\.png' "an escape byte in JSON"
says out 'a/\\udcff\.png' "a byte of no character in JSON"
check "$(tr -d '\n -~' <out | wc -c)" 0 "bytes in JSON that are no ASCII"

rm set/b/*title.png

# A run in such a folder, and its config.json.
status 0 "a run" train set --out "$bad/run" $small --epochs 1
check "$(tr -d '\n\t -~' <"$bad/run/config.json" | wc -c)" 0 "bytes in config.json that are no ASCII"
status 0 "the run again" train --config "$bad/run/config.json" --resume
says err 'is complete' "the folder of config.json"

status 0 "a table" embed "$bad/run" set -o f.npy
says f.csv "^[0-9]+,'?b/=1\+2\.png,1,b$" "a name below a folder is no formula"
status 0 "a table of a folder" embed "$bad/run" folder:set/b -o g.npy
says g.csv "^[0-9]+,'=1\+2\.png,," "a formula"

finish names
