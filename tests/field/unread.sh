#!/bin/sh
# unread.sh: a set of which no image can be read is a failure of `moco data`, with all that is to be
# said of it; one image that can be read makes it a success.
. "$(dirname "$0")/lib.sh"

mkdir set set/a
for i in 1 2 3; do
    "$draw" png set/a/$i.png 12x12x3 200 50 $i
    "$draw" head set/a/$i.png 60
done

status 1 "nothing can be read" data folder:set
says err 'none of the 3 images of set can be read, the first: .*1\.png' "why"
says out '^(truncated|damaged|unreadable) +3' "the findings are printed all the same"
status 1 "nothing can be read, in JSON" data folder:set --json
says out '"count":3,"read":0,' "the numbers"

"$draw" png set/a/4.png 12x12x3 200 50 4
status 0 "one of four" data folder:set
status 1 "a test set of which nothing can be read" data folder:set/a --test folder:set/b
mkdir set/b && cp set/a/1.png set/b
status 1 "a test set of which nothing can be read" data folder:set/a --test folder:set/b
says err 'none of the 1 images of set/b' "which set"

finish unread
