// shim.cc: the bridge to Google Benchmark, and the only C++ file.
//
// Each struct bench becomes a registered benchmark on wall-clock time. Rates are counters per
// second of the work that the bench declares; of_peak and of_triad are their shares of what this
// machine was measured to reach; parts of an iteration are counters in milliseconds. Google
// Benchmark calls a function again for each estimate of the number of iterations: the data stays
// open until another benchmark's turn. Its CSV wants the same counters of all and aborts otherwise.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>

extern "C" {
#include "bench/bench.h"
#include "engine/net/encoder.h"
}

static std::shared_ptr<bench> opened;
static std::set<std::string> columns; // counters of all that was added
static bool csv;

static void close_opened()
{
    if (opened && opened->close)
        opened->close(opened.get());
    opened.reset();
}

static bool open(const std::shared_ptr<bench> &b)
{
    if (opened == b)
        return true;
    close_opened();
    if (b->open && b->open(b.get()))
        return false;
    opened = b;
    b->run(b.get()); // pages are touched, primitives warm
    return true;
}

static std::string part_name(const bench &b, int i)
{
    return std::string(b.parts[i]) + "_ms";
}

static void add_columns(const bench &b)
{
    if (b.flops > 0)
        columns.insert({ "GFLOP/s", "of_peak" });
    if (b.bytes > 0)
        columns.insert({ "GB/s", "of_triad" });
    for (int i = 0; i < BENCH_PARTS && b.parts[i]; i++)
        columns.insert(part_name(b, i));
}

static void count(benchmark::State &state, const bench &b, double seconds)
{
    using benchmark::Counter;
    double done = (double)state.iterations() / seconds;
    if (b.flops > 0) {
        state.counters["GFLOP/s"] = Counter(b.flops * 1e-9, Counter::kIsIterationInvariantRate);
        state.counters["of_peak"] = b.flops * done / bench_peak_flops();
    }
    if (b.bytes > 0) {
        state.counters["GB/s"] = Counter(b.bytes * 1e-9, Counter::kIsIterationInvariantRate);
        state.counters["of_triad"] = b.bytes * done / bench_triad_bytes();
    }
    if (b.items > 0)
        state.SetItemsProcessed((int64_t)(b.items * (double)state.iterations()));
    for (int i = 0; i < BENCH_PARTS && b.parts[i]; i++)
        state.counters[part_name(b, i)] = b.part_seconds[i] * 1e3 / (double)state.iterations();
    for (const std::string &name : columns)
        if (csv)
            state.counters.emplace(name, NAN);
    if (b.label)
        state.SetLabel(b.label);
}

static void run(benchmark::State &state, std::shared_ptr<bench> b)
{
    using clock = std::chrono::steady_clock;
    if (!open(b)) {
        state.SkipWithError(bench_failed());
        return;
    }
    memset(b->part_seconds, 0, sizeof b->part_seconds);
    auto start = clock::now();
    for (auto _ : state)
        b->run(b.get());
    count(state, *b, std::chrono::duration<double>(clock::now() - start).count());
}

extern "C" void bench_add(const bench *given, const char *level)
{
    auto copy = std::make_shared<bench>(*given);
    std::string name = given->name;
    if (level)
        name += std::string("/") + level;
    add_columns(*copy);
    benchmark::RegisterBenchmark(name.c_str(), run, copy)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

// MOCO_SIMD caps oneDNN too, as it does in moco; oneDNN reads its cap at its first call.
static void cap_onednn(const char *cap)
{
    const char *isa = !strcmp(cap, "ref")      ? "SSE41"
                      : !strcmp(cap, "avx2")   ? "AVX2"
                      : !strcmp(cap, "avx512") ? "AVX512_CORE"
                                               : nullptr;
    if (isa) {
        setenv("ONEDNN_MAX_CPU_ISA", isa, 0);
        setenv("DNNL_MAX_CPU_ISA", isa, 0);
    }
}

// Every level up to `best`, each followed by what the compiler makes of ref with its instructions.
static size_t all_levels(moco_simd *levels, const moco_simd &best)
{
    size_t count = 0;
    for (int level = MOCO_LEVEL_REF; level < MOCO_LEVELS; level++) {
        if (moco_simd_at(&levels[count], (moco_level)level))
            continue;
        const char *name = levels[count++].name;
        if (bench_auto(&levels[count], name) == 0)
            count++;
        if (!strcmp(best.name, name))
            break;
    }
    return count;
}

int main(int argc, char **argv)
{
    moco_simd best, levels[8];
    const char *cap = getenv("MOCO_SIMD");
    if (moco_simd_init(&best, nullptr)) {
        fprintf(stderr, "moco-bench: MOCO_SIMD asks for kernels that are not available here\n");
        return 1;
    }
    cap_onednn(cap ? cap : "");
    size_t count = all_levels(levels, best);
    bench_limits();
    bench_kernels(levels, count);
    bench_losses(levels, count);
#ifdef MOCO_ONEDNN
    bench_norm_dnnl(&best);
#endif
    bench_convolutions(levels, count);
    bench_views(levels, count, &best);
    bench_stages(&best);
    benchmark::AddCustomContext("kernels", best.name);
    benchmark::AddCustomContext("threads", std::to_string(bench_threads()));
    const char *library = net_library_version();
    benchmark::AddCustomContext("onednn", library ? library : "not built in");
    benchmark::AddCustomContext("compiler", __VERSION__);
    for (int i = 1; i < argc; i++)
        csv |= !strcmp(argv[i], "--benchmark_format=csv") ||
               !strcmp(argv[i], "--benchmark_out_format=csv");
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    close_opened();
    return 0;
}
