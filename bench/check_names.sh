#!/bin/sh
# check_names.sh MOCO-BENCH: the names that others rely on are all there, for the highest level of
# this machine (reference rows that take too long are left out by moco-bench), and each once; and a
# table of different rows comes out whole.
set -u
list=$("$1" --benchmark_list_tests) || exit 1
isa=$(printf '%s\n' "$list" | sed -n 's|^softmax/256/65536/\([a-z0-9]*\)/real_time$|\1|p' | tail -1)
names="triad sgemm/2048 augment/cifar-demo augment/moco-v2-jpeg view/decode/500x375
step/resnet18/64/32/128 step/resnet18/16/32/128 step/resnet50/64/224/16"
for name in infonce/128/4096/128 softmax/256/65536 ema/25557032 sgd_ema/25557032 \
    bn_add_relu_fwd/128/64/32 bn_add_relu_bwd/128/64/32 view/resize/224 view/jitter/224 \
    view/hue/224 view/blur/224 view/normalise/224; do
    names="$names $name/$isa"
done
if [ "$isa" != ref ]; then
    names="$names infonce/256/65536/128/$isa logits/256/65536/128/$isa
knn/2000/50000/128/$isa knn/2000/50000/512/$isa"
fi
for direction in fwd bwd_data bwd_weights; do
    names="$names conv3x3/$direction/128/64/32/onednn"
    [ "$isa" = ref ] || names="$names conv3x3/$direction/128/64/32/$isa"
done
# bfloat16 where this CPU computes with it
case $list in
*step_bf16/*) names="$names step_bf16/resnet18/64/32/128 step_bf16/resnet18/16/32/128
step_bf16/resnet50/64/224/16" ;;
esac
bad=0
for name in $names; do
    [ "$(printf '%s\n' "$list" | grep -cxF "$name/real_time")" = 1 ] && continue
    echo "moco-bench lists $name not once"
    bad=1
done
# Rows with different counters in one table, each with as many fields as the first line.
table=$("$1" --benchmark_format=csv --benchmark_min_time=0.001 \
    --benchmark_filter="^(triad|sgemm/2048)/" 2>/dev/null |
    awk -F, '/^name,/ { n = NF } /^"/ { rows += NF == n } END { print rows }')
if [ "$table" != 2 ]; then
    echo "moco-bench --benchmark_format=csv gives ${table:-no} whole rows, not 2"
    bad=1
fi
exit $bad
