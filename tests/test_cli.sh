#!/bin/sh
# test_cli.sh MOCO: the built binary from outside: exit statuses, interruption and resumption bit
# for bit, damaged files, JSON, NPY. Every run is tiny (synthetic images, width 16).
moco=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
data=synthetic:n=256,classes=4,side=16,seed=1
small="--width 16 --batch-size 32 --moco-k 64 --bn-splits 4 --moco-dim 32 --side 16 --epochs 2"
small="$small --threads 1"

check() {
    if [ "$1" = "$2" ]; then return; fi
    echo "FAILED: $3: $1, not $2"
    failures=$((failures + 1))
}

# What a command said beside the line on each set that it opened.
sentences() {
    grep -Ev '^moco: .*[0-9] images?, .* channels?$' "$work/err"
}

# says WHAT WORD...: the last line of standard error is a sentence of moco with all these words.
says() {
    what=$1 sentence=$(sentences | tail -1)
    shift
    for word in "moco: " "$@"; do
        case $sentence in
        *"$word"*) ;;
        *) check "$sentence" "one with $word" "$what" ;;
        esac
    done
}

# status WANTED WHAT ARGS...: runs moco, keeps stderr.
status() {
    wanted=$1 what=$2
    shift 2
    "$moco" "$@" >"$work/out" 2>"$work/err"
    got=$?
    check $got "$wanted" "$what"
    [ $got = "$wanted" ] || tail -3 "$work/err"
}

same() {
    cmp "$1/weights.safetensors" "$2/weights.safetensors" >/dev/null 2>&1
    check $? 0 "$3: weights differ"
    cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" >/dev/null 2>&1
    check $? 0 "$3: checkpoints differ"
}

train() {
    out=$1
    shift
    # shellcheck disable=SC2086
    "$moco" train $data --out "$out" $small "$@" >"$work/out" 2>"$work/err"
}

# Waits until a run has saved its first checkpoint, then sends it a signal.
send_when_saved() {
    i=0
    while [ ! -f "$2/checkpoint.safetensors" ] && [ $i -lt 500 ]; do
        sleep 0.02
        i=$((i + 1))
    done
    kill "-$1" "$3" 2>/dev/null
    wait "$3"
}

status 2 "no command"
status 0 "help" help
status 0 "version" --version
status 2 "unknown command" fly
status 0 "two threads" info --threads 2
grep -q '^threads   2$' "$work/out" ||
    grep -q '^moco: this build has no OpenMP: one thread computes, not 2$' "$work/err"
check $? 0 "two threads, or a word why there is one"
status 2 "unknown option" train $data --out "$work/x" --no-such-thing 1
says "the sentence for an option like none" --no-such-thing "moco help train"
for word in "epoch epochs" "no-maks no-mask" "batchsize batch-size"; do
    status 2 "--${word% *}" train $data --out "$work/x" "--${word% *}" 1
    says "the sentence for --${word% *}" "--${word% *}" "--${word#* }"
done
status 2 "an option with a letter too many" knn "$work/x" --trainn $data
says "the sentence for --trainn" --trainn "nearest is --train"
status 0 "values behind an equals sign" train $data --out="$work/equals" --epochs=1 --width=8 \
    --batch-size=32 --moco-dim 32 --mlp --threads=1
grep -q '"width":	8' "$work/equals/config.json"
check $? 0 "the width behind an equals sign"
status 2 "a switch with a value" train $data --out "$work/x" --mlp=1
status 2 "a command with two letters changed" trian
says "the sentence for trian" trian "nearest is train"
status 2 "value is missing" train $data --out
status 2 "an argument is missing" embed "$work/x" -o "$work/x.npy"
says "the sentence for a missing argument" "1 argument" "WEIGHTS DATA"
status 2 "data with a very long name" train "npy:$(printf '%01200d' 0)" --out "$work/x"
grep -q '^moco: DATA of 1204 bytes is too long, 1023 at most' "$work/err"
check $? 0 "the sentence for a very long name"
status 2 "no folder" train $data
status 1 "no such data" train "$work/nothing" --out "$work/x"
status 0 "info" info
export MOCO_SIMD=ref
status 0 "info with a cap" info --json
check "$(grep -o '"cap":.*"kernels":"[a-z0-9]*"' "$work/out")" \
    '"cap":"ref","cap_from":"MOCO_SIMD","kernels":"ref"' "the cap and its origin"
unset MOCO_SIMD
status 1 "unknown kernels" info --simd sse
says "the sentence for unknown kernels" --simd "'sse'" avx512 neon
status 1 "more threads than there can be" info --threads 99999
says "the sentence for too many threads" --threads 99999 4096
status 1 "a seed of too many digits" data synthetic:n=8,seed=99999999999999999999
says "the sentence for such a seed" seed=99999999999999999999
status 0 "data" data $data
grep -q '^none of     unreadable, .*duplicates' "$work/out"
check $? 0 "what data does not have"
status 2 "knn without data" knn "$work/w"
for command in help info "data $data --json"; do
    # shellcheck disable=SC2086
    "$moco" $command >/dev/full 2>"$work/err"
    check $? 1 "$command on a full disk"
    says "the sentence for a full disk" "standard output" "No space left on device"
done

# A demo keeps nothing, and does not say so either.
mkdir "$work/demo"
TMPDIR=$work/demo "$moco" demo --threads 1 synthetic:n=64,classes=4 >"$work/out" 2>"$work/err"
check $? 0 "a demo"
check "$(grep -c '^kNN after training: ' "$work/out")" 1 "what a demo prints"
check "$(grep -c 'weights are in' "$work/err")" 0 "a demo's weights"
TMPDIR=$work/demo "$moco" demo --threads 1 >"$work/out" 2>"$work/demo-err" &
i=0
until grep -qs '^  steps 0 of' "$work/demo-err" || [ $i = 1000 ]; do
    sleep 0.05
    i=$((i + 1))
done
kill -INT $! && wait $!
check $? 130 "an interrupted demo"
check "$(tail -1 "$work/demo-err")" "moco: interrupted; nothing is kept" "an interrupted demo's last word"
check "$(ls "$work/demo")" "" "what a demo leaves behind"

# A folder with two equal images, one of another size, one cut off; packed; a set that shares one.
mkdir -p "$work/set/a" "$work/set/b" "$work/other/a"
for i in 1 2 3 4 5 6 7 8 9 10; do
    printf 'P5\n2 2\n255\nab%c%c' "$i" "$((i * 7 % 10))" >"$work/set/a/$i.pgm"
done
cp "$work/set/a/3.pgm" "$work/set/b/same.pgm"
cp "$work/set/a/1.pgm" "$work/other/a/leak.pgm"
printf 'P5\n2 3\n255\nabcdef' >"$work/set/b/odd.pgm"
printf 'P5\n2 2\n255\nab' >"$work/set/b/cut.pgm"
status 0 "data of a folder" data "$work/set" --test "$work/other" -o "$work/data.png"
check "$(grep -A1 '^truncated   1,' "$work/out" | tail -1)" "    b/cut.pgm: it is cut off" "truncated"
check "$(grep -A1 '^duplicates  1,' "$work/out" | tail -1)" "    b/same.pgm = a/3.pgm" "a duplicate"
check "$(grep -A1 '^relabelled  1,' "$work/out" | tail -1)" \
    "    b/same.pgm = a/3.pgm (labels b and a)" "a duplicate of another label"
check "$(grep -A1 '^odd sizes   1,' "$work/out" | tail -1)" "    b/odd.pgm: 2 x 3" "an odd size"
check "$(grep -A1 '^leaks       1,' "$work/out" | tail -1)" "    a/leak.pgm = a/1.pgm" "a leak"
check "$(grep '^untrained' "$work/out")" "untrained   0" "classes that have images in both"
check "$(od -An -tx1 -N8 "$work/data.png" | tr -d ' ')" 89504e470d0a1a0a "a PNG of the data"
status 0 "data --json" data "$work/set" --test "$work/other" --json --list 1
check "$(grep -c '^{.*"truncated":1,.*"duplicates":1,.*"test":{.*"leaks":1,.*}$' "$work/out")" 1 \
    "data --json prints one object"
status 1 "packed without the bad image" data "$work/set" --pack "$work/set.pack"
check "$(grep -c '^moco: 1 of the first 11 images cannot be read, more than --max-bad 0.01 allows of' \
    "$work/err")" 1 "the sentence for a bad image"
[ ! -e "$work/set.pack" ] && [ ! -e "$work/set.pack.part" ]
check $? 0 "nothing is left of a packed file that was refused"
status 0 "packed" data "$work/set" --pack "$work/set.pack" --max-bad 0.1 --json
grep -q '"images":12,"scaled":0,"left_out":1,"bytes":[0-9]*,"not_taken":{},' "$work/out"
check $? 0 "what packing prints"
"$moco" data "$work/set/a" | grep -q '^ .*\(unlabelled\|empty classes\)' && a=said
check "${a-not said}" "not said" "what only labels can have, of images without"
status 0 "data of a packed file" data "$work/set.pack"
grep -q '^kind        packed$' "$work/out"
check $? 0 "the kind of a packed file"
status 1 "packed over another file" data "$work/set" --pack "$work/data.png" --max-bad 0.1
status 2 "--side without --pack" data "$work/set" --side 4
status 2 "--pack with --test" data "$work/set" --pack "$work/x.pack" --test "$work/other"
status 2 "--max-bad of 2" data "$work/set" --pack "$work/x.pack" --max-bad 2

train "$work/whole" --threads 2
check $? 0 "training"
check "$(head -1 "$work/whole/log.csv")" \
    "epoch,step,loss,ln_k1,top1,lr,img_s,data_s,compute_s,queue_fill,knn" "header of log.csv"
check "$(grep -c . "$work/whole/log.csv")" 3 "rows of log.csv"
train "$work/whole" --threads 2
check $? 1 "an existing run without --resume"
status 1 "that, before the data are opened" train "$work/nothing" --out "$work/whole"
says "the sentence for an existing run" "$work/whole" --resume --out
status 1 "--resume without its settings" train $data --out "$work/whole" --resume
says "the sentence for other settings" "checkpoint.safetensors" "width 16" 64 --config
status 0 "data and settings from config.json" train --config "$work/whole/config.json" --resume
check "$(grep -c 'was started on' "$work/err")" 0 "a notice about the same data"
check "$(grep -c 'moco-t' "$work/err")" 0 "a default from config.json in the list of settings"
check "$(grep -c 'width 16 (file)' "$work/err")" 1 "a setting from config.json"
status 0 "other images, as many" train "${data%1}2" --config "$work/whole/config.json" --resume
check "$(grep 'was started on' "$work/err")" "moco: the run in $work/whole was started on $data and\
 goes on with ${data%1}2" "the notice about other data"
train "$work/whole" --resume
check $? 0 "a complete run is resumed"
train "$work/again" --threads 2 --resume
check $? 0 "--resume without a run"
same "$work/whole" "$work/again" "two equal runs"

# A packed file trains to the same weights as what it was made of.
status 0 "packing generated images" data $data --pack "$work/generated.pack"
# shellcheck disable=SC2086
"$moco" train "$work/generated.pack" --out "$work/packed" $small --threads 2 >"$work/out" 2>"$work/err"
check $? 0 "training on a packed file"
cmp "$work/packed/weights.safetensors" "$work/whole/weights.safetensors" >/dev/null
check $? 0 "weights from a packed file differ"

# Views on a sheet: a PNG of the right size, parameters as text, sentences for what can not be.
later="--flip-vertical 1 --rotate90 --rotate 9 --rotate-fill reflect --solarize 1 --noise 0.01"
later="$later --poisson 200 --channel-drop 0.5 --no-antialias"
# shellcheck disable=SC2086
status 0 "views" views $data -o "$work/sheet.png" --count 3 --views 4 --seed 7 --side 16 $later
check "$(od -An -tx1 -N8 "$work/sheet.png" | tr -d ' ')" 89504e470d0a1a0a "a PNG"
check "$(od -An -tu1 -j16 -N8 "$work/sheet.png" | tr -s ' ')" " 0 0 2 164 0 0 2 94" \
    "width 6 + 5 * 134, height 6 + 3 * 200"
check "$(grep -c '^image ' "$work/out")" 3 "images in the text"
wanted='^  view [1-4]: crop .* flip-vertical.* solarize poisson 200 noise 0.01'
check "$(grep -c "$wanted" "$work/out")" 12 "views in the text"
cp "$work/sheet.png" "$work/first.png"
# shellcheck disable=SC2086
status 0 "views again" views $data -o "$work/sheet.png" --count 3 --views 4 --seed 7 --side 16 $later
cmp "$work/sheet.png" "$work/first.png" >/dev/null
check $? 0 "the same settings give the same sheet"
status 0 "views of a preset" views $data -o "$work/sheet.png" --count 2 --preset moco-v2 --json
wanted='^{"image":[0-9]*,"label":[0-9]*,"view":[12],"parameters":"crop [^"]*"}$'
check "$(grep -c "$wanted" "$work/out")" 4 "views --json prints one object a view"
status 2 "views without -o" views $data
says "the sentence for views without -o" "-o SHEET.png" "moco help views"
status 0 "views of chosen channels" views $data -o "$work/shown.png" --count 2 --show 2,2,2
grep -q 'channels 2, 2 and 2 of 3 are shown' "$work/err"
check $? 0 "views say which channels are shown"
status 0 "views of the first channels" views $data -o "$work/first.png" --count 2
cmp -s "$work/shown.png" "$work/first.png"
check $? 1 "other channels look different"
status 1 "a channel that is not there" views $data -o "$work/x.png" --show 0,1,3
says "sentence about channels" --show "0 to 2" 0,1,3
status 1 "two channels" views $data -o "$work/x.png" --show 0,1
status 2 "views of nothing" views -o "$work/sheet.png"
status 2 "views with -o alone" views $data -o
status 2 "no views" views $data -o "$work/sheet.png" --views 0
status 2 "views with an unknown option" views $data -o "$work/sheet.png" --zoom 2
status 1 "an angle that can not be" views $data -o "$work/sheet.png" --rotate 200
says "the sentence for an angle" rotate 200 180
status 1 "a fill that is not known" views $data -o "$work/sheet.png" --rotate-fill edge
status 1 "views in no folder" views $data -o "$work/none/sheet.png"
check "$(sentences | grep -c '^moco: ')" 1 "sentences for a sheet in no folder"

# A second source: views of a row come from both, as in training.
status 0 "views of pairs" views $data --positive "synthetic:n=256,classes=4,side=24,seed=2" --side 16 \
    -o "$work/pairs.png" --count 2 --views 4 --json
check "$(sed 's/.*"image":\([0-9]*\).*/\1/' "$work/out" | sort -u | tr '\n' ' ')" "0 1 256 257 " \
    "both images of two samples are seen"
train "$work/pairs" --positive "synthetic:n=256,classes=4,side=24,seed=2" --epochs 1
check $? 0 "training on pairs: $(tail -1 "$work/err")"
train "$work/x" --positive "synthetic:n=255,classes=4,side=24,seed=2" --epochs 1
check $? 1 "pairs of other lengths"

# The later operations train too, and are part of what a run is.
# shellcheck disable=SC2086
train "$work/later" $later --epochs 1
check $? 0 "training with the later operations"
train "$work/later" --epochs 1 --resume
check $? 1 "resumed without them"

# Micro-batches: other groups for BatchNorm, so other weights, and a setting that must not change.
train "$work/parts" --accumulate 4
check $? 0 "micro-batches"
train "$work/parts" --resume
check $? 1 "resumed without --accumulate"
grep -q 'accumulate 4, this run has the default' "$work/err"
check $? 0 "sentence about accumulate"
train "$work/whole" --resume --accumulate 2
check $? 1 "resumed with --accumulate"
train "$work/x" --accumulate 3
check $? 1 "accumulate that does not divide the batch"
train "$work/x" --accumulate 16
check $? 1 "micro-batches that bn-splits does not divide"
train "$work/x" --accumulate 2 --method end-to-end
check $? 1 "micro-batches of the end-to-end method"
grep -q 'its negatives are the batch' "$work/err"
check $? 0 "sentence about end-to-end"

# bfloat16 activations: refused where they would only be slower, unless --force; equal runs give
# equal bytes, through a resumption too; a setting that must not change.
train "$work/half" --precision fp16
check $? 1 "an unknown precision"
train "$work/half" --precision bf16 --width 24
check $? 1 "bf16 at a width that is no multiple of 16"
grep -q -- '--precision bf16 would only be slower here' "$work/err"
check $? 0 "sentence about bf16"
[ ! -e "$work/half" ]
check $? 0 "no folder of a run refused for its precision"
train "$work/half" --precision bf16 --force
check $? 0 "bf16"
train "$work/half" --resume --force
check $? 1 "resumed without --precision"
train "$work/half-again" --precision bf16 --force --epochs 2 --checkpoint-every 3
check $? 0 "bf16 with more checkpoints"
cmp "$work/half/weights.safetensors" "$work/half-again/weights.safetensors" >/dev/null 2>&1
check $? 0 "bf16: weights of two equal runs differ"
cmp "$work/half/weights.safetensors" "$work/whole/weights.safetensors" >/dev/null 2>&1
check $? 1 "bf16 changes the weights"

# Runs that do not fit: refused before anything is made, unless --force.
huge="--batch-size 1048576 --moco-k 1048576 --bn-splits 1 --mean 0.5 --std 0.25"
# shellcheck disable=SC2086
status 1 "a batch that fits nowhere" train synthetic:n=1048576,side=32 $huge --out "$work/huge"
grep -q '^moco: the run needs [0-9.]* GiB of memory and [0-9.]* GiB are available' "$work/err"
check $? 0 "sentence about memory: $(tail -1 "$work/err")"
check "$(sentences | grep -c .)" 1 "sentences about memory"
[ ! -e "$work/huge" ]
check $? 0 "no folder of a refused run"
limited() { (ulimit -v 1500000 && "$@"); }
if limited "$moco" --version >/dev/null 2>&1; then # not with a sanitizer
    limited "$moco" train $data --out "$work/tight" --batch-size 256 --side 48 --threads 1 \
        --moco-k 256 >"$work/out" 2>"$work/err"
    check $? 1 "a run larger than ulimit -v"
    grep -q 'ulimit -v): give --accumulate' "$work/err"
    check $? 0 "sentence about ulimit -v: $(tail -1 "$work/err")"
    # shellcheck disable=SC2086
    limited "$moco" train $data --out "$work/tight" $small >"$work/out" 2>"$work/err"
    check $? 0 "a run smaller than ulimit -v: $(tail -1 "$work/err")"
fi

# An array larger than the memory it may have: a window that fits is named. The file is a hole.
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (4000000, 32, 32), }"
} >"$work/huge.npy"
roomy() { (ulimit -v $((4000000 + 1500000)) && "$@"); }
if truncate -s $((128 + 4000000 * 1024)) "$work/huge.npy" 2>/dev/null &&
    roomy "$moco" --version >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    roomy "$moco" bench "$work/huge.npy" $small >"$work/out" 2>"$work/err"
    check $? 0 "an array larger than memory: $(tail -1 "$work/err")"
    window=$(sed -n 's/.*3.8 GiB, more than .* --shuffle-window \([0-9]*\) reads.*/\1/p' "$work/err")
    [ "${window:-0}" -gt 100000 ] && [ "$window" -lt 750000 ]
    check $? 0 "a window that fits in 1.5 GB: $window"
    # shellcheck disable=SC2086
    roomy "$moco" bench "$work/huge.npy" $small --shuffle-window "$window" >"$work/out" 2>"$work/err"
    check $? 0 "that window: $(tail -1 "$work/err")"
    check "$(grep -c 'takes 3.8 GiB' "$work/err")" 0 "notices where the window fits"
    check "$(grep -c 'shuffled in windows of' "$work/err")" 1 "notice of windows"
fi
rm -f "$work/huge.npy"

# shellcheck disable=SC2086
status 0 "bench" bench $data $small --knn-every 1
grep -q 'images/s, median of' "$work/out"
check $? 0 "bench prints images/s"
# shellcheck disable=SC2086
status 0 "bench --json" bench $data $small --json
check "$(grep -c '^{.*"img_s":[0-9].*"total_s":[0-9].*"memory_predicted":[0-9].*}$' "$work/out")" 1 \
    "bench --json prints one object"
status 2 "bench without data" bench --json

# One run interrupted by each signal and killed five times, each time resumed; another left alone.
# Its images are shuffled in windows.
long="--epochs 12 --checkpoint-every 1 --shuffle-window 64"
# shellcheck disable=SC2086
train "$work/left" $long
check $? 0 "the longer run"
start_long() {
    # shellcheck disable=SC2086
    "$moco" train $data --out "$work/long" $small $long --resume >/dev/null 2>"$work/err" &
}
start_long
send_when_saved TERM "$work/long" $!
check $? 143 "interrupted by TERM"
start_long
sleep 0.4
send_when_saved INT "$work/long" $!
got=$?
[ $got = 0 ] || check $got 130 "interrupted by INT"
for i in 1 2 3 4 5; do
    start_long
    sleep 0.$((i + 1))
    send_when_saved KILL "$work/long" $! 2>/dev/null
done
start_long
wait $!
check $? 0 "resumed after kill -9: $(tail -1 "$work/err")"
same "$work/left" "$work/long" "a run stopped seven times"

# A mapped file of data that is cut while it is read: a sentence, and the checkpoint stays.
"$moco" data $data --pack "$work/cut.pack" >/dev/null
# shellcheck disable=SC2086
"$moco" train "$work/cut.pack" --out "$work/cut" $small --epochs 100000 --knn-every 0 >/dev/null \
    2>"$work/err" &
while [ ! -f "$work/cut/checkpoint.safetensors" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
: >"$work/cut.pack"
wait $!
check $? 1 "data that are cut during a run"
check "$(grep -c '^moco: a mapped file of data or weights became shorter' "$work/err")" 1 \
    "the sentence for data that are cut"
train "$work/long" --epochs 12 --resume
check $? 1 "resumed with another window"
grep -q 'shuffle-window 64, this run has the default' "$work/err"
check $? 0 "sentence about the window: $(tail -1 "$work/err")"
train "$work/x" --shuffle-window 63
check $? 1 "a window that is too small"

status 0 "knn" knn "$work/whole/weights.safetensors" --train $data --test \
    $data,split=test --json
grep -q '"top1":[0-9]' "$work/out"
check $? 0 "knn --json prints top1"
status 0 "knn of each fifth by the others" knn "$work/whole" --train $data --json --knn-k 5
grep -q '"n_train":204,"n_test":256' "$work/out"
check $? 0 "knn without --test judges all images"
status 0 "knn of raw pixels" knn pixels --train $data --test $data --knn-k 1
grep -q 'top-1 100.00 % (k 1, t 0.1, pixels, 256 -> 256 images)' "$work/out"
check $? 0 "each image is its own nearest"
status 0 "knn of small pixels" knn pixels --train $data --side 4 --knn-k 300
grep -q 'all of the 204 images vote' "$work/err"
check $? 0 "knn says that k is too large"
status 1 "a side for an encoder" knn "$work/whole" --train $data --side 8
status 0 "knn of a checkpoint" knn "$work/whole/checkpoint.safetensors" --train $data --test $data
status 0 "knn of pixels" knn pixels --train $data --test $data,split=test --json
grep -q '"top1":[0-9].*"feature":"pixels"' "$work/out"
check $? 0 "knn of pixels prints top1"
status 0 "knn of an encoder's pixels" knn "$work/whole" --train $data --test $data --feature pixels
status 1 "knn of a head of pixels" knn pixels --train $data --test $data --feature head
# Where the time goes, of methods without a key branch and with one of another architecture.
for method in memory-bank "end-to-end --arch resnet34 --key-encoder separate:resnet18"; do
    # shellcheck disable=SC2086
    status 0 "profile of $method" train synthetic:n=256,side=16 --width 8 --batch-size 16 \
        --epochs 1 --profile --out "$work/profile-${method%% *}" --method $method
    check "$([ "$(grep -c '^layer4' "$work/err")" -ge 8 ] && echo printed)" printed "$method: layers"
done

status 0 "linear" linear "$work/whole" --train $data --test $data,split=test --per-class
check "$(grep -c '^linear top-1 [0-9.]* % (backbone, 128 columns, 256 -> 256 images, solver, l2 ' \
    "$work/out")" 1 "linear prints one line: $(head -1 "$work/out")"
check "$(grep -c '% of 64$' "$work/out")" 4 "linear --per-class prints a line for each class"
wanted='^{"top1":[0-9.]*,"n_train":256,"n_test":256,"feature":"head","protocol":"solver","l2":0.01,'
status 0 "linear --json" linear "$work/whole" --train $data --test $data --feature head --l2 0.01 \
    --json
check "$(grep -c "$wanted" "$work/out")" 1 "linear --json: $(cat "$work/out")"
status 0 "linear of pixels" linear pixels --train $data --test $data --l2 1 --json
status 0 "linear by SGD" linear "$work/whole" --train $data --test $data --protocol moco --epochs 2
status 1 "linear by SGD of pixels" linear pixels --train $data --test $data --protocol moco
status 2 "linear by what?" linear "$work/whole" --train $data --test $data --protocol svm
status 0 "linear with a rate for the solver" linear "$work/whole" --train $data --lr 10
says "what the solver does not read" --lr --epochs "--protocol solver"
status 2 "linear with a negative l2" linear pixels --train $data --test $data --l2 -1
status 2 "linear without data" linear "$work/whole" --test $data
status 0 "linear of every fifth image" linear "$work/whole" --train $data
check "$(grep -c ", 205 -> 51 images" "$work/out")" 1 "linear splits: $(cat "$work/out")"
status 0 "finetune" finetune "$work/whole" --train $data --test $data,split=test --fraction 0.25 \
    --epochs 2 --json
wanted='^{"top1":[0-9.]*,"n_train":64,"n_labelled":256,"n_test":256,"fraction":0.25,"start":"pretrained"'
check "$(grep -c "$wanted" "$work/out")" 1 "finetune --json: $(cat "$work/out")"
status 0 "finetune from scratch" finetune "$work/whole" --train $data --test $data --fraction 0.25 \
    --epochs 1 --from-scratch
grep -q '^finetune top-1 [0-9.]* % (random weights, 64 of 256 labels' "$work/out"
check $? 0 "finetune from scratch says so"
check "$(sentences)" "finetune: epoch 1/1 loss $(sentences | sed 's/.* //')" \
    "a line of progress, and none that is rewritten"
status 1 "finetune of pixels" finetune pixels --train $data --test $data
status 2 "finetune on too much" finetune "$work/whole" --train $data --test $data --fraction 2
status 0 "report" report "$work/whole" -o "$work/page.html"
check "$(grep -c "epochs, complete" "$work/page.html")" 1 "report of a complete run"
status 0 "report beside the run" report "$work/whole"
check "$(cmp "$work/whole/report.html" "$work/page.html" && echo same)" same "report.html"
status 1 "report of no run" report "$work"
status 2 "report without a run" report
status 0 "metrics" metrics "$work/whole" $data --images 100 --json
wanted='^{"alignment":[0-9.]*,"uniformity":-[0-9.]*,"deviation":0[0-9.]*,.*"images":100,"columns":32,'
check "$(grep -c "$wanted" "$work/out")" 1 "metrics --json: $(cat "$work/out")"
status 0 "metrics of the backbone" metrics "$work/whole" $data --feature backbone
status 2 "metrics of one image" metrics "$work/whole" $data --images 1
status 2 "knn with a temperature that is none" knn "$work/whole" --train $data --knn-t inf
status 0 "embed" embed "$work/whole" $data -o "$work/x.npy" --raw
status 0 "embed" embed "$work/whole" $data -o "$work/x.npy"
says "what embed says" "$work/x.npy" "256 rows" "128 columns" backbone "$work/x.csv"
head -c 128 "$work/x.npy" | grep -q "'shape': (256, 128)"
check $? 0 "shape of the NPY"
check "$(wc -c <"$work/x.npy" | tr -d ' ')" $((128 + 256 * 128 * 4)) "size of the NPY"
check "$(head -2 "$work/x.csv" | tr '\n' ' ')" "index,name,label,class 0,,0,disc " "the first row's image"
check "$(grep -c . "$work/x.csv")" 257 "lines of the table"
status 0 "embed in two blocks" embed "$work/whole" synthetic:n=2100,classes=4,side=16,seed=1 \
    -o "$work/two.npy"
head -c 128 "$work/two.npy" | grep -q "'shape': (2100, 128)"
check $? 0 "shape of the NPY of two blocks"
check "$(wc -c <"$work/two.npy" | tr -d ' ')" $((128 + 2100 * 128 * 4)) "its size"
check "$(tail -1 "$work/two.csv")" "2099,,3,cross" "the last row's image"
for f in x two; do tail -c +129 "$work/$f.npy" | head -c $((256 * 512)) >"$work/$f.rows"; done
cmp "$work/x.rows" "$work/two.rows" >/dev/null
check $? 0 "the first rows of both"

# Files with names, one of them unreadable: it has a row nowhere, and the table names the others.
mkdir -p "$work/files/a, b" "$work/files/c"
for i in 0 1 2 3; do
    printf 'P6\n2 2\n255\n%s2345678901' "$i$i" >"$work/files/c/$i.ppm"
    printf 'P6\n2 2\n255\n%s1098765432' "$i$i" >"$work/files/a, b/\"$i\".ppm"
done
echo "no image" >"$work/files/c/1.ppm"
status 0 "embed files" embed "$work/whole" "$work/files" -o "$work/y.npy" --ids "$work/y-ids" --json
grep -q '"rows":7,"columns":128,"left_out":1' "$work/out"
check $? 0 "rows of the readable files: $(cat "$work/out")"
head -c 128 "$work/y.npy" | grep -q "'shape': (7, 128)"
check $? 0 "shape of their NPY"
check "$(wc -c <"$work/y.npy" | tr -d ' ')" $((128 + 7 * 128 * 4)) "size of their NPY"
check "$(sed -n 2p "$work/y-ids")" '0,"a, b/""0"".ppm",0,"a, b"' "a name with a comma and quotes"
check "$(cut -d, -f1 "$work/y-ids" | tr '\n' ' ')" "index 0 1 2 3 4 6 7 " "the row that is left out"
check "$(grep -c 'c/1.ppm' "$work/err")" 2 "sentences about it"
[ ! -e "$work/y.csv" ]
check $? 0 "--ids names the table"
status 0 "knn without it" knn "$work/whole" --train "$work/files" --test "$work/files" --json
grep -q '"n_train":7,"n_test":7' "$work/out"
check $? 0 "images that vote: $(cat "$work/out")"
status 2 "embed into one file" embed "$work/whole" "$work/files" -o "$work/z" --ids "$work/z"
status 1 "embed into no folder" embed "$work/whole" "$work/files" -o "$work/none/z.npy"
# A disk that is full when the features are flushed: the old table stays beside the old features.
cp "$work/x.npy" "$work/old.npy"
cp "$work/x.csv" "$work/old.csv"
(
    trap '' XFSZ
    ulimit -f 1
    "$moco" embed "$work/whole" synthetic:n=3,classes=3,side=16,seed=2 -o "$work/x.npy" 2>/dev/null
)
check $? 1 "embed onto a full disk"
cmp "$work/x.npy" "$work/old.npy" && cmp "$work/x.csv" "$work/old.csv"
check $? 0 "what a full disk leaves of older files"
check "$(ls "$work" | grep -c tmp)" 0 "no file is left half-written"

status 0 "info of a run" info --json "$work/whole"
grep -q '^{"arch":"resnet18"' "$work/out"
check $? 0 "options may stand before the run"
status 0 "export" export "$work/whole" -o "$work/w.safetensors"
says "what export says" "$work/w.safetensors" "$work/whole"
status 0 "export" export "$work/whole" -o "$work/w.safetensors" --json
check "$(cat "$work/out")" "{\"weights\":\"$work/w.safetensors\"}" "what export --json prints"
cmp "$work/w.safetensors" "$work/whole/weights.safetensors" >/dev/null
check $? 0 "export gives weights.safetensors"
status 0 "info of a file" info "$work/w.safetensors"
status 0 "info of a run, its option first" info --json "$work/whole"
mkdir "$work/hollow"
status 1 "knn of a folder without a run" knn "$work/hollow" --train $data
says "the sentence for a folder without a run" "$work/hollow" weights.safetensors checkpoint.safetensors

# A study, stopped by a signal and killed in the middle; the same command goes on.
status 2 "compare without a study" compare $data --out "$work/study"
status 2 "compare without --out" compare $data --study momentum
status 2 "an unknown study" compare $data --study nothing --out "$work/study"
says "the sentence for a study" "'nothing'" mechanisms labels
status 2 "no seeds" compare $data --study momentum --out "$work/study" --seeds 0
status 2 "two budgets" compare $data --study momentum --out "$work/study" --epochs 2 --minutes 1
status 2 "no minutes" compare $data --study momentum --out "$work/study" --minutes x
status 1 "a setting that all rows have" compare $data --study momentum --out "$work/study" --moco-m 0
says "the sentence for a setting that all rows have" --moco-m "study momentum"
status 1 "a study in the folder of a run" compare $data --study momentum --out "$work/whole"
says "the sentence for a study in the folder of a run" "$work/whole" study --out
start_study() {
    # shellcheck disable=SC2086
    "$moco" compare $data --study momentum --out "$work/study" --seeds 1 $small >"$work/out" \
        2>"$work/err" &
}
start_study
send_when_saved TERM "$work/study/m-0/seed-1" $!
check $? 143 "a study interrupted by TERM"
sed 1d "$work/study/study.csv" >"$work/before.csv"
check "$(grep -c '' "$work/before.csv")" 5 "rows of an interrupted study"
start_study
send_when_saved KILL "$work/study/m-0.9/seed-1" $! 2>/dev/null
start_study
wait $!
check $? 0 "the study after kill -9: $(tail -1 "$work/err")"
check "$(grep -c '^momentum,.*,2,1,[0-9.]*,,[0-9.]*,,' "$work/study/study.csv")" 5 "complete rows"
check "$(grep -c '^| m = ' "$work/study/study.md")" 5 "rows of study.md"
check "$(tail -c 7 "$work/study/study.svg")" "</svg>" "the end of study.svg"
start_study
wait $!
check "$(grep -c 'is complete' "$work/err")" 5 "complete runs are not trained again"

# Our own kernels alone: neither the level nor the number of threads shows, in 1x1 layers too.
own="--conv own --deterministic --epochs 1 --arch resnet50 --width 8"
all=$data
data=synthetic:n=64,classes=4,side=16,seed=1
# shellcheck disable=SC2086
train "$work/own-1" $own --simd ref
for threads in 2 3; do
    # shellcheck disable=SC2086
    train "$work/own-$threads" $own --threads $threads
    same "$work/own-1" "$work/own-$threads" "our own kernels, $threads threads"
done
data=$all

mkdir -p "$work/cut"
head -c 5000 "$work/whole/checkpoint.safetensors" >"$work/cut/checkpoint.safetensors"
train "$work/cut" --resume
check $? 1 "a truncated checkpoint"
check "$(sentences | grep -c '^moco: ')" 1 "sentence for a truncated checkpoint"
check "$(wc -c <"$work/cut/checkpoint.safetensors" | tr -d ' ')" 5000 "the file is left alone"
status 1 "a file that is none" info "$1"

[ $failures = 0 ] && echo "all checks of the command line passed"
[ $failures = 0 ]
