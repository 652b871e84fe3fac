#!/bin/sh
# run.sh: what befalls a run: signals while it trains, is judged, or features are written.
. "$(dirname "$0")/lib.sh"

# wait_for FILE: until it is there, 20 seconds at most.
wait_for() {
    tries=0
    while [ ! -s "$1" ] && [ $tries -lt 400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    [ -s "$1" ] || fail "$1 does not appear"
}

# ends PID WANTED WHAT: with that status, within three seconds (a heavily loaded machine has one).
ends() {
    since=$(date +%s)
    wait "$1"
    check $? "$2" "$3"
    checks=$((checks + 1))
    [ $(($(date +%s) - since)) -le 3 ] || fail "$3 took $(($(date +%s) - since)) s"
}

long="synthetic:n=64,side=8 --width 4 --batch-size 8 --epochs 1000000 --threads 1"

# Who is started by nohup keeps ignoring HUP, as it should.
hup=HUP hup_status=129
case $(sed -n 's/^SigIgn:.*\(.\)$/\1/p' /proc/self/status) in
[13579bdf])
    echo "left out: HUP, which is ignored here"
    hup=TERM hup_status=143
    ;;
esac

# Training: HUP and TERM save and end, so does a closed pipe; USR1 saves and goes on.
for signal in $hup:$hup_status TERM:143; do
    rm -rf "on-${signal%:*}"
    "$moco" train $long --out "on-${signal%:*}" 2>err &
    wait_for "on-${signal%:*}/checkpoint.safetensors"
    kill -"${signal%:*}" $!
    ends $! "${signal#*:}" "training and ${signal%:*}"
    says err 'go on with --resume' "the end by ${signal%:*}"
done

"$moco" train $long --out saved 2>err &
wait_for saved/checkpoint.safetensors
kill -USR1 $!
tries=0
until grep -q 'is saved as asked' err || [ $tries -gt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
says err 'step [0-9]+ is saved as asked, training goes on' "USR1"
kill -TERM $!
ends $! 143 "training after USR1"

{ "$moco" train $long --json --out piped 2>err; echo $? >piped.status; } | head -1 >/dev/null
check "$(cat piped.status)" 141 "a closed pipe"
check "$(find piped -name 'checkpoint.safetensors' | wc -l)" 1 "checkpoints after a closed pipe"

# Evaluation: kNN that takes a minute is left within a second, and what was trained is saved.
slow="--knn-train synthetic:n=40000,side=16 --knn-test synthetic:n=2000,side=16,split=test"
judged="synthetic:n=16,side=16 --width 64 --batch-size 8 --epochs 1 --threads 1 --out judged"
"$moco" train $judged $slow 2>err &
wait_for judged/checkpoint.safetensors
tries=0
until grep -q 'ETA' err || [ $tries -gt 200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
says err '^kNN: [0-9,]+ of 42,000 images, ETA [0-9]+m[0-9]+s$' "how far an evaluation is"
kill -TERM $!
ends $! 143 "TERM in an evaluation"
status 0 "the checkpoint" info judged/checkpoint.safetensors
says out '^step +2$' "steps that are saved before they are judged"

# Other commands end at once and leave nothing.
"$moco" embed judged synthetic:n=40000,side=16 -o f.npy 2>err &
tries=0
until ls f.npy.*.part >/dev/null 2>&1 || [ $tries -gt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -$hup $!
ends $! $hup_status "embed and $hup"
check "$(find . -name 'f.*' | wc -l)" 0 "files that embed leaves"
"$moco" knn judged $(echo "$slow" | sed 's/knn-//g') 2>err &
sleep 0.5
kill -TERM $!
ends $! 143 "knn and TERM"

# A run goes on from wherever it is called, and where it was moved together with its data.
mkdir -p old/data other
"$draw" npy old/data/x.npy u1 64,3,16,16 100 50
"$draw" labels old/data/y.npy 64 2
cd old || exit 1
status 0 "a run on a relative path" train npy:data/x.npy,data/y.npy --out run --width 4 \
    --batch-size 16 --epochs 2 --knn-every 1 --knn-k 3 --threads 1
cd ../other || exit 1
status 0 "the run from elsewhere" train --config ../old/run/config.json --resume
says err 'the run in \.\./old/run is complete' "a run from elsewhere"
check "$(find . | wc -l)" 1 "files of the folder it was called from"
mv ../old ../new
status 0 "the run where it was moved" train --config ../new/run/config.json --resume
silent err 'was started on' "a run that was moved"
status 0 "the same settings in another folder" train --config ../new/run/config.json --out again \
    --resume
says err 'again has no checkpoint: the run starts afresh' "--resume without a checkpoint"
cd ..
cmp -s new/run/weights.safetensors other/again/weights.safetensors || fail "the weights differ"

finish run
