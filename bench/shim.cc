// shim.cc: the bridge to Google Benchmark, and the only C++ file.
//
// Each struct bench becomes a registered benchmark on wall-clock time; counters are rates per
// second of the work that the bench declares, and their share of the machine's measured limit.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

extern "C" {
#include "bench/bench.h"
#include "engine/net/encoder.h"
}

static void run(benchmark::State &state, std::shared_ptr<bench> owned)
{
    bench *b = owned.get();
    if (b->open && b->open(b)) {
        state.SkipWithError(bench_failed());
        return;
    }
    b->run(b); // pages are touched, primitives warm
    for (auto _ : state)
        b->run(b);
    if (b->close)
        b->close(b);
    using benchmark::Counter;
    auto rate = [](double amount) {
        return Counter(amount, Counter::kIsIterationInvariantRate);
    };
    if (b->flops > 0) {
        state.counters["GFLOP/s"] = rate(b->flops * 1e-9);
        state.counters["of_peak"] = rate(b->flops / bench_peak_flops());
    }
    if (b->bytes > 0) {
        state.counters["GB/s"] = rate(b->bytes * 1e-9);
        state.counters["of_triad"] = rate(b->bytes / bench_triad_bytes());
    }
    if (b->items > 0)
        state.SetItemsProcessed((int64_t)(b->items * (double)state.iterations()));
}

extern "C" void bench_add(const bench *given, const char *level)
{
    auto copy = std::make_shared<bench>(*given);
    std::string name = given->name;
    if (level)
        name += std::string("/") + level;
    benchmark::RegisterBenchmark(name.c_str(), run, copy)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

int main(int argc, char **argv)
{
    moco_simd best, levels[8];
    size_t count = 0;
    if (moco_simd_init(&best, nullptr)) {
        fprintf(stderr, "moco-bench: MOCO_SIMD asks for kernels that are not available here\n");
        return 1;
    }
    // MOCO_SIMD caps oneDNN too, as it does in moco.
    if (!strcmp(best.name, "avx2"))
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 0);
    for (int level = MOCO_LEVEL_REF; level <= MOCO_LEVEL_AVX512; level++) {
        if (moco_simd_at(&levels[count], (moco_level)level))
            continue;
        count++;
        if (bench_auto(&levels[count], levels[count - 1].name) == 0)
            count++;
        if (!strcmp(best.name, levels[count - 1].name) ||
            (count > 1 && !strcmp(best.name, levels[count - 2].name)))
            break;
    }
    bench_limits();
    bench_kernels(levels, count);
    bench_convolutions(levels, count);
    bench_stages(&best);
    benchmark::AddCustomContext("kernels", best.name);
    benchmark::AddCustomContext("onednn", net_dnnl_version());
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
