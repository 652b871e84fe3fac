#!/bin/sh
# foreign.sh MOCO DRAW DIR: inputs as libraries of others write them (DIR/make.py, in Python), a
# folder a case, and what must come of each. Skipped (77) without DIR or without the libraries: those
# of $PYTHON or python3, or else what pip installs beside the inputs.
set -u
make=${3:-}/make.py
[ -f "$make" ] || { echo "skipped: no folder with make.py (-Dfield_dir=DIR)"; exit 77; }
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
modules="import numpy, PIL, tifffile, astropy, h5py"
python=${PYTHON:-python3}
if ! "$python" -c "$modules" 2>/dev/null; then
    { python3 -m venv "$work/python" && "$work/python/bin/pip" install -q numpy pillow tifffile \
        astropy h5py; } >"$work/pip" 2>&1
    python=$work/python/bin/python
    "$python" -c "$modules" 2>/dev/null ||
        { echo "skipped: pip cannot install ($modules): $(tail -1 "$work/pip")"; exit 77; }
fi
"$python" "$make" "$work/cases" >/dev/null || fail "make.py ends with $?"

# begin CASE: its folder; what commands print still goes to $work.
begin() {
    cd "$work/cases/$1" || fail "no case $1"
}

# train WHAT DATA RUN WORDS: a run of seconds.
# shellcheck disable=SC2086
train() {
    status 0 "$1" train "$2" --out "$3" $small $4
}

# field NAME: a value of `moco data`'s text, without its name.
field() {
    sed -n "s/^$1  *//p" "$work/out" | head -1
}

# channel N: mean, deviation, least and most of a channel.
channel() {
    awk -v c="$1" '/^channel / { on = 1 } on && $1 == c { print $2, $3, $4, $5; exit }' "$work/out"
}

# json KEY: the value of a key of one line of JSON.
json() {
    sed -n "s/.*\"$1\":\\([^,}]*\\).*/\\1/p" "$work/out" | tail -1
}

# setting NAME RUN: as config.json has it.
setting() {
    sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(.*[^,]\),*\$/\1/p" "$2/config.json" | head -1
}

# last_knn RUN: the last cell of the column knn.
last_knn() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "knn") c = i }
        END { if ($c != "") printf "%.2f", $c }' "$1/log.csv"
}

begin classes-by-name
plain="--jitter 0 --grey 0 --knn-k 5"
status 0 "kNN by names" knn pixels --train folder:train --test folder:test --knn-k 5 --json
check "$(json top1) $(json n_test)" "100.0000 12" "kNN of pixels, classes by name"
status 0 "linear by names" linear pixels --train folder:train --test folder:test --json
check "$(json top1) $(json n_test)" "100.0000 12" "linear on pixels, classes by name"
train "a run judged by names" folder:train run \
    "$plain --knn-every 1 --knn-train folder:train --knn-test folder:test"
check "$(last_knn run)" 100.00 "kNN of the run, classes by name"
status 0 "kNN of a run by names" knn run --train folder:train --test folder:test --knn-k 5 --json
check "$(json top1)" 100.0000 "kNN of its features, classes by name"
status 0 "fine-tuning by names" finetune run --train folder:train --test folder:test --fraction 1 \
    --epochs 20 --json
check "$(json top1)" 100.0000 "fine-tuning, classes by name"

begin links
for set in store classes files mixed loop; do
    status 0 "links: $set" data "folder:$set"
    check "$(field images)" 16 "images of $set"
    says out '^classes .*2' "classes of $set"
done

begin imagej-stack
for words in "" ":pages=channels"; do
    for pair in "stack" "hyper"; do
        twin=$(find . -name "$pair*" ! -name '*one-directory*' | head -1)
        "$moco" data "tiff:$twin$words" 2>/dev/null | grep -Ev 'pages|file' >"$work/twin"
        "$moco" data "tiff:$pair-one-directory.tif$words" 2>/dev/null |
            grep -Ev 'pages|file' >"$work/one"
        check "$(cat "$work/one")" "$(cat "$work/twin")" "$pair of one directory$words"
    done
done
status 0 "a stack" data tiff:stack-one-directory.tif
check "$(field images)" 12 "images of a stack of one directory"

begin hdf5-reasons
status 0 "plain.h5" data hdf5:plain.h5
plain=$(channel 0)
for file in lzf zstd external one-an-image; do
    "$moco" data "hdf5:$file.h5" >"$work/out" 2>"$work/err"
    got=$?
    if [ $got = 0 ]; then
        check "$(field images) $(channel 0)" "24 $plain" "$file.h5"
    else
        check $got 1 "$file.h5"
        case $file in
        lzf) says err 'lzf.*(32000|HDF5_PLUGIN_PATH)' "lzf.h5" ;;
        zstd) says err 'zstd.*(32015|HDF5_PLUGIN_PATH)' "zstd.h5" ;;
        *) fail "$file.h5: $(cat "$work/err")" ;;
        esac
        check "$(grep -c '^moco: ' "$work/err")" 1 "one sentence about $file.h5"
    fi
done

begin other-extensions
status 0 "other endings" data folder:set
says "out" '^classes .*(2|3)' "classes of other endings"
if "$moco" info | grep -qi 'webp.*not built in'; then
    check "$(field images)" 12 "a of 6, c of 6"
    says err '6 .*[wW]eb[pP]' "WebP is told where it is not built in"
else
    check "$(field images)" 18 "JPEG, PNG and WebP whatever they are called"
fi
train "training on other endings" folder:set run ""

begin nodata
for set in number nan; do
    status 0 "no data: $set" data "tiff:$set"
    check "$(channel 0)" "100 20 80 120" "mean, deviation, least and most of $set"
    says err '43\.75' "share of $set without a value"
    status 0 "training on $set" train "tiff:$set" --out "run-$set" --width 4 --batch-size 8 \
        --epochs 2 --jitter 0
    says err '43\.75' "the run says it, $set"
    check "$(setting mean "run-$set") $(setting std "run-$set")" '"100" "20"' "of config.json, $set"
done

begin matlab
for data in set.mat hdf5:set.mat; do
    status 0 "same.npy" data same.npy
    same="$(field images) $(field size) $(channel 0) $(channel 1) $(channel 2)"
    status 0 "MATLAB 7.3: $data" data $data
    check "$(field images) $(field size) $(channel 0) $(channel 1) $(channel 2)" "$same" "$data"
done
status 0 "MATLAB with labels" data hdf5:set.mat:images,labels
check "$(field images)" 8 "images of set.mat"
says out '1 4  *2 4' "four of each class"

begin archives
for file in set.zip set.tar set.tar.gz; do
    cp $file "bare-$(echo $file | tr . -)"
    for data in $file "bare-$(echo $file | tr . -)"; do
        status 1 "archive $data" data "$data"
        says err 'archive' "$data is told"
        says err 'unpack' "$data: what to do"
        check "$(grep -c '^moco: ' "$work/err")" 1 "one sentence about $data"
    done
done

begin sigterm
long="--knn-train synthetic:n=20000,side=16 --knn-test synthetic:n=2000,side=16,split=test"
long="$long --batch-size 16 --epochs 2"
# shellcheck disable=SC2086
"$moco" train npy:x.npy --out run --width 64 $long --knn-every 1 >"$work/out" 2>"$work/err" &
pid=$!
sleep 4
kill -TERM $pid
start=$(date +%s)
wait $pid
check $? 143 "TERM in the first kNN"
[ $(($(date +%s) - start)) -le 3 ] || fail "TERM in the first kNN took $(($(date +%s) - start)) s"
# shellcheck disable=SC2086
"$moco" train npy:x.npy --out run2 --width 64 $long --knn-every 0 >"$work/out" 2>"$work/err" &
pid=$!
i=0
while [ $i -lt 600 ] &&
    ! "$moco" info run2/checkpoint.safetensors 2>/dev/null | grep -Eq 'step *8( |$)'; do
    sleep 0.1
    i=$((i + 1))
done
check $((i < 600)) 1 "the checkpoint of step 8 comes before the evaluation"
kill -TERM $pid
start=$(date +%s)
wait $pid
check $? 143 "TERM in the last kNN"
[ $(($(date +%s) - start)) -le 3 ] || fail "TERM in the last kNN took $(($(date +%s) - start)) s"
check "$(find . -name '*.part' -o -name '*.tmp' | wc -l | tr -d ' ')" 0 "nothing is left over"

begin resume-elsewhere
status 0 "a run" train "npy:$PWD/x.npy" --out run --width 4 --batch-size 16 --epochs 2
cd other || fail "no folder other"
status 0 "resumed from elsewhere" train --config ../run/config.json --resume
says err 'is complete' "the run is complete"
check "$(ls -A . | wc -l | tr -d ' ')" 0 "the other folder stays empty"
cd ..
status 0 "a run with a relative path" train npy:x.npy --out run2 --width 4 --batch-size 16 \
    --epochs 2
cd other || fail "no folder other"
status 0 "resumed from elsewhere, relative" train --config ../run2/config.json --resume
says err 'is complete' "the run of a relative path is complete"
check "$(ls -A . | wc -l | tr -d ' ')" 0 "the other folder still is empty"

begin foreign-weights
for name in plain moco backbone-prefix no-head; do
    status 0 "info of $name" info $name.safetensors
    status 0 "embedding by $name" embed $name.safetensors npy:x.npy -o $name.npy
    check "$(cmp plain.npy $name.npy >/dev/null 2>&1; echo $?)" 0 "features of $name"
    status 0 "kNN by $name" knn $name.safetensors --train npy:x.npy,y.npy --knn-k 3 --json
    [ $name = plain ] && plain_top1=$(json top1)
    check "$(json top1)" "$plain_top1" "kNN by $name"
done
status 0 "info of moco" info moco.safetensors
says out 'module\.encoder_q\.' "the prefix that was taken"
status 1 "a head that is not there" embed no-head.safetensors npy:x.npy -o none.npy --feature head
says err 'head' "the missing head is named"
check "$(ls none.npy 2>/dev/null)" "" "no features of it"

begin fits-mosaic
status 0 "four HDUs" data fits:mosaic.fits
check "$(field images)" 4 "images of the mosaic"
status 0 "gzipped nights" data fits:nights
check "$(field images)" 3 "images of the nights"

begin spectra
status 0 "kNN of spectra" knn pixels --train npy:x.npy,y.npy --knn-k 5 --json
check "$(json top1)" 100.0000 "kNN of spectra"
status 0 "training on spectra" train npy:x.npy,y.npy --out run --width 4 --batch-size 8 --epochs 2 \
    --jitter 0
says err '256' "training says what views show"
status 0 "views of spectra" views npy:x.npy -o v.png
says err '256' "views say it too"

begin wide-images
status 0 "kNN of wide images" knn pixels --train folder:. --knn-k 5 --json
check "$(json top1)" 100.0000 "kNN of wide images"
status 0 "training on wide images" train folder:. --out "$work/wide" --width 4 --batch-size 8 \
    --epochs 2 --knn-every 1 --knn-k 5
says err '400' "the run says what views show"

begin near-sizes
for set in near same; do
    train "training on $set" folder:$set run-$set ""
    side=$(setting side run-$set)
    check $((side >= 28 && side <= 30)) 1 "side of $set: $side"
    check "$(setting stem run-$set)" '"cifar"' "stem of $set"
done

begin one-nan
settings="--width 2 --batch-size 250 --epochs 2 --side 8 --jitter 0"
# shellcheck disable=SC2086
status 0 "one NaN" train npy:x.npy --out run $settings
check "$(grep -c 'image 2505 can not be read' "$work/err")" 1 "image 2505 is named once"
status 0 "kNN of pixels" knn pixels --train npy:x.npy,y.npy --knn-k 5 --json
check "$(json top1)" 100.0000 "kNN without the image"
check "$(json n_test)" 4999 "images judged"
says err '1 of 5000|1 of 5,000|2505' "kNN says so"
# shellcheck disable=SC2086
status 0 "weights of some" train npy:some.npy --out some $settings
status 0 "embedding" embed some npy:x.npy -o f.npy
says err '1 of 5000|1 of 5,000|2505' "embed says so"
check "$("$python" -c 'import numpy
f = numpy.load("f.npy")
print(f.shape[0], numpy.isfinite(f).all())')" "4999 True" "finite rows"
status 0 "linear" linear pixels --train npy:x.npy,y.npy
says err '1 of 5000|1 of 5,000|2505|could not be read' "linear says so"
status 0 "metrics" metrics some npy:x.npy --json
silent out 'nan|inf' "metrics are numbers"
status 0 "kNN of features" knn some --train npy:x.npy,y.npy --knn-k 5 --json
check "$(json n_test)" 4999 "images judged by features"

begin grey-test
status 0 "grey against colour" knn pixels --train folder:train --test folder:test --knn-k 3 --json
check "$(json top1)" 100.0000 "kNN of grey images"
train "a run on colour" folder:train run ""
mkdir rgb rgb/dark rgb/light
"$python" -c 'import glob, PIL.Image
for f in glob.glob("test/*/*"):
    PIL.Image.open(f).convert("RGB").save("rgb" + f[4:])'
for command in "knn run --knn-k 3" "linear run" "finetune run --fraction 1 --epochs 2"; do
    # shellcheck disable=SC2086
    status 0 "$command on grey" $command --train folder:train --test folder:test --json
    grey=$(json top1)
    # shellcheck disable=SC2086
    status 0 "$command on grey saved as RGB" $command --train folder:train --test folder:rgb --json
    check "$grey" "$(json top1)" "$command: grey as RGB"
    [ "${command%% *}" = finetune ] || check "$grey" 100.0000 "$command on grey"
done
status 0 "embedding grey" embed run folder:test -o f.npy
status 0 "embedding grey saved as RGB" embed run folder:rgb -o g.npy
check "$(cmp f.npy g.npy >/dev/null 2>&1; echo $?)" 0 "features of grey are those of RGB"
train "a run judged on grey" folder:train run2 \
    "--knn-train folder:train --knn-test folder:test --knn-k 3"
check "$(ls run2/weights.safetensors)" run2/weights.safetensors "its weights"
[ -n "$(last_knn run2)" ] || fail "its kNN"

begin test-set-gone
"$moco" train folder:train --out run --width 4 --batch-size 8 --epochs 60 --knn-train folder:train \
    --knn-test folder:test --knn-k 5 >"$work/out" 2>"$work/err" &
pid=$!
i=0
while [ $i -lt 1500 ] && ! grep -q '^2,' run/log.csv 2>/dev/null; do
    sleep 0.02
    i=$((i + 1))
done
mv test away
wait $pid
check $? 0 "a run whose test set is gone"
check "$(grep -c '^[1-9]' run/log.csv)" 60 "epochs in its log"
check "$(last_knn run)" "" "the last epoch's kNN"
check "$(ls run/weights.safetensors)" run/weights.safetensors "its weights are there"
says err 'test' "a notice about the test set"

begin pairs
status 0 "views of pairs" views folder:A --positive folder:B -o v.png --count 14
train "training on pairs" folder:A run "--positive folder:B"
says err '14 ' "14 samples"
says err '2 |1 .*1 ' "files without a partner"

finish foreign
