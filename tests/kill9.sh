#!/usr/bin/env bash
# kill9.sh MOCO [RUNS]: a training run killed RUNS times (default 50) at random moments by kill -9
# and resumed each time must give the bytes of one that ran through.
set -uo pipefail
moco=$1
runs=${2:-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
train() {
    exec "$moco" train synthetic:n=512,classes=4,side=16,seed=1 --width 16 --side 16 \
        --batch-size 32 --moco-k 64 --moco-dim 32 --bn-splits 4 --epochs "$epochs" --threads 1 \
        --checkpoint-every 1 --resume --out "$1" >"$work/log" 2>&1
}
RANDOM=${SEED:-1}
epochs=$((10 + runs * 2))
(train "$work/whole") || { cat "$work/log"; exit 1; }
killed=0
for ((i = 0; i < runs; i++)); do
    (train "$work/killed") &
    pid=$!
    sleep "0.$((RANDOM % 900 + 100))"
    kill -KILL "$pid" 2>/dev/null && killed=$((killed + 1))
    wait "$pid" 2>/dev/null
done
(train "$work/killed") || { cat "$work/log"; exit 1; }
for file in weights.safetensors checkpoint.safetensors; do
    cmp "$work/whole/$file" "$work/killed/$file" || exit 1
done
echo "killed $killed times in $runs tries: equal bytes"
