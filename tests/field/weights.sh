#!/bin/sh
# weights.sh: encoders of others from the command line: prefixes are told, a head is optional,
# numbers that are none end every command, and training starts from weights.
. "$(dirname "$0")/lib.sh"

"$draw" npy x.npy u1 16,3,16,16 128 100 1
"$draw" npy y.npy u1 16,3,16,16 128 100 2
"$draw" labels l.npy 16 2
set_="npy:x.npy,l.npy"
# shellcheck disable=SC2086
status 0 "a run" train "$set_" --out run $small --side 16
"$draw" weights run/weights.safetensors plain.safetensors "" all
"$draw" weights run/weights.safetensors moco.safetensors module.encoder_q. all
"$draw" weights run/weights.safetensors backbone.safetensors backbone. backbone
"$draw" weights run/weights.safetensors nan.safetensors "" nan
"$draw" weights run/weights.safetensors large.safetensors "" large

# ---- prefixes and heads ----
for name in plain moco backbone; do
    status 0 "embed $name" embed $name.safetensors npy:x.npy -o $name.npy
    status 0 "knn $name" knn $name.safetensors --train "$set_" --knn-k 3
    cp out knn.$name
done
for name in moco backbone; do
    cmp -s plain.npy $name.npy
    check $? 0 "features of $name"
    cmp -s knn.plain knn.$name
    check $? 0 "kNN of $name"
done
status 0 "embed moco" embed moco.safetensors npy:x.npy -o moco.npy
says err "module.encoder_q" "the prefix is told"
status 0 "info" info moco.safetensors
says out "prefix +module.encoder_q" "info's prefix"
status 0 "info --json" info --json moco.safetensors
says out '"prefix":"module.encoder_q."' "info's prefix"
status 0 "head" embed moco.safetensors npy:x.npy --feature head -o h.npy
for command in "embed backbone.safetensors npy:x.npy -o h.npy" \
    "metrics backbone.safetensors npy:x.npy" "knn backbone.safetensors --train $set_" \
    "linear backbone.safetensors --train $set_"; do
    # shellcheck disable=SC2086
    status 1 "a head that is not there: $command" $command --feature head
    says err "no head" "why: $command"
done
status 0 "metrics of a backbone" metrics backbone.safetensors npy:x.npy --json
says out '"feature":"backbone"' "what metrics measures"
status 0 "export" export backbone.safetensors -o e.safetensors
status 0 "embed an export" embed e.safetensors npy:x.npy -o e.npy
says err "no mean and std" "an export knows no more than its file"
cmp -s plain.npy e.npy
check $? 0 "features of an export"
status 0 "finetune" finetune backbone.safetensors --train "$set_" --test "$set_" --fraction 1 \
    --epochs 1

# ---- numbers that are none ----
for command in "embed nan.safetensors npy:x.npy -o n.npy" "metrics nan.safetensors npy:x.npy" \
    "knn nan.safetensors --train $set_" "linear nan.safetensors --train $set_" \
    "finetune nan.safetensors --train $set_ --test $set_" \
    "export nan.safetensors -o n.safetensors" "train $set_ --init nan.safetensors --out n"; do
    # shellcheck disable=SC2086
    status 1 "NaN: $command" $command
    says err "layer3.0.bn1.bias" "which tensor: $command"
done
# Weights that are finite and too large; the head's and all ReLUs make zeros of NaN.
for command in "embed large.safetensors npy:x.npy -o n.npy" \
    "embed large.safetensors npy:x.npy -o n.npy --raw --feature head" \
    "metrics large.safetensors npy:x.npy --json" \
    "knn large.safetensors --train $set_" "knn large.safetensors --train $set_ --feature head" \
    "linear large.safetensors --train $set_" \
    "finetune large.safetensors --train $set_ --test $set_"; do
    # shellcheck disable=SC2086
    status 1 "overflow: $command" $command
    says err "not finite|no longer finite" "why: $command"
done
check "$(ls -d n.npy n.csv n.safetensors n 2>/dev/null)" "" "nothing is written"

# ---- training starts from weights ----
# Before the first step kNN is that of the weights, whatever kind of file they stand in.
more="--batch-size 8 --epochs 1 --threads 1 --knn-every 1 --knn-k 3 --knn-train $set_ --knn-test $set_"
status 0 "knn" knn run --train "$set_" --test "$set_" --knn-k 3 --feature head
of_run=$(sed -n 's/^kNN top-1 \([0-9.]*\) .*/\1/p' out)
for init in run run/weights.safetensors run/checkpoint.safetensors plain.safetensors \
    moco.safetensors; do
    rm -rf more
    # shellcheck disable=SC2086
    status 0 "--init $init" train "$set_" --out more --init $init $more --side 16
    says err "training starts from $init.*: backbone and head" "what is taken of $init"
    says err "before training: kNN $of_run %" "kNN of $init before the first step"
done
says err "module.encoder_q" "the prefix is told"
rm -rf more
# shellcheck disable=SC2086
status 0 "--init backbone" train "$set_" --out more --init backbone.safetensors $more
says err "the file has no head that moco knows" "a new head is told"

# A path in a file of settings starts at its folder, as the others do; a resumed run needs no file.
mkdir below
printf '{"init": "../run", "out": "more", "data": "%s"}\n' "npy:../x.npy,../l.npy" >below/c.json
status 0 "--config" train --config below/c.json $small
says err "training starts from run/weights.safetensors" "the path of --init"
mv run moved
status 0 "--config --resume" train --config below/more/config.json --resume
says err "is complete" "--resume without the file"
mv moved run
status 0 "compare" compare "$set_" --study temperature --init run --seeds 1 --epochs 1 \
    --batch-size 8 --threads 1 --out study
says err "training starts from run/weights.safetensors" "a study's runs start from weights"

finish weights
