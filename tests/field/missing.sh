#!/bin/sh
# missing.sh: one NaN in one image of many: a run ends, and every other command goes on without that
# image and says so; --max-missing fills it instead; what is declared missing (here: by a packed file)
# counts as the mean everywhere.
. "$(dirname "$0")/lib.sh"

# gaps FILE FROM COUNT: numbers of an .npy of f4 with 64 x 16 numbers become NaN.
gaps() {
    awk -v n="$3" 'BEGIN { while (n-- > 0) printf "\\000\\000\\300\\177" }' >bytes
    # shellcheck disable=SC2059
    printf "$(cat bytes)" | dd of="$1" bs=4 seek=$((($(wc -c <"$1") - 4096) / 4 + $2)) \
        conv=notrunc 2>/dev/null
}

"$draw" npy x.npy f4 64,1,4,4 0.5 0.5
"$draw" labels y.npy 64 2
gaps x.npy 403 1 # image 25
one="image 25: NaN or infinite in 1 of 16 numbers"
settings="$small --side 8 --moco-dim 8 --jitter 0 --max-bad 0.1 --knn-k 5"

status 0 "train" train npy:x.npy,y.npy --out run $settings
says err "$one" "train"
check "$(grep -c "image 25 can not be read" err)" 1 "train names the image once"
status 0 "resume" train npy:x.npy,y.npy --out run $settings --resume
status 1 "train, none may be bad" train npy:x.npy --out other $settings --max-bad 0
status 0 "train, filled" train npy:x.npy,y.npy --out filled $settings --max-missing 0.1
silent err "can not be read" "train, filled"
says err "0.09766 % of the numbers of npy:x.npy.* in 1 of 64 images" "train, filled"
says filled/config.json '"max-missing":.*0.1' "train, filled"
status 1 "resumed with another share" train npy:x.npy,y.npy --out filled $settings \
    --max-missing 0.2 --resume

status 0 "knn" knn run --train npy:x.npy,y.npy --knn-k 5 --json
says out '"n_test":63' "knn"
says err "$one" "knn"
status 0 "knn of pixels, filled" knn pixels --train npy:x.npy,y.npy --knn-k 5 --json --max-missing 1
says out '"n_test":64' "knn of pixels, filled"
status 0 "linear" linear run --train npy:x.npy,y.npy --test npy:x.npy,y.npy --json
says out '"n_train":63,"n_test":63' "linear"
says err "1 of 64 images.*$one" "linear"
status 0 "linear, moco" linear run --train npy:x.npy,y.npy --protocol moco --epochs 2 --json
says out '"n_train":51,' "linear, moco" # of 52
says err "$one" "linear, moco"
status 0 "finetune" finetune run --train npy:x.npy,y.npy --test npy:x.npy,y.npy --fraction 1 \
    --epochs 1 --json
says out '"n_test":63' "finetune"
says err "training is without them" "finetune"
status 0 "metrics" metrics run npy:x.npy --json
says out '"images":63,' "metrics"
silent out nan "metrics"
says err "$one" "metrics"
status 0 "embed" embed run npy:x.npy -o f.npy --json
says out '"rows":63,.*"left_out":1' "embed"
status 0 "embed, filled" embed run npy:x.npy -o f.npy --json --max-missing 0.1
says out '"rows":64,.*"left_out":0' "embed, filled"
status 2 "a share above 1" embed run npy:x.npy -o f.npy --max-missing 1.5

status 0 "data" data npy:x.npy --json
says out '"read":64,.*"not_finite":1' "data"
status 0 "data, filled" data npy:x.npy --json --max-missing 0.1
says out '"missing":{"share":0.000976[0-9]*,"images":1,.*"not_finite":0' "data, filled"
status 0 "sheet" data npy:x.npy -o sheet.png

# Half of the numbers have no value; the others are 3.
"$draw" npy half.npy f4 64,1,4,4 3
for i in $(seq 0 63); do
    gaps half.npy $((16 * i)) 8
done
status 1 "half is not finite" train npy:half.npy --out half $settings
status 0 "pack" data npy:half.npy --pack half.pack --max-missing 0.5
status 0 "data, packed" data packed:half.pack --json
says out '"mean":\[3\],"std":\[0\],"min":\[3\],"max":\[3\].*"missing":{"share":0.5,"images":64,' \
    "data, packed"
says err "^moco: 50 % of the numbers of packed:half.pack are declared missing" "data, packed"
status 0 "train, packed" train half.pack --out half $settings --blur 1
says err "50 % of the numbers" "train, packed"
says half/config.json '"mean":.*"3"' "train, packed"
silent err "no longer finite|can not be read" "train, packed"
status 0 "train, kNN on gaps" train npy:x.npy --out knn $settings --knn-train x.npy,y.npy \
    --knn-test half.npy,y.npy --max-missing 0.5
says err "50 % of the numbers of npy:half.npy,y.npy are NaN or infinite" "train, kNN on gaps"
status 0 "views, packed" views half.pack -o v.png --count 4 --jitter 0
says err "50 % of the numbers" "views, packed"

finish missing
