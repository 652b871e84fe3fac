/* memory_bank.c: the three losses of the memory bank and the proximal term, NCE's Z held and
 * running, what the bank remembers, what is drawn. */
#include "tests/methods/method.h"

static double bank_row_loss(const struct reference *r, int i)
{
    double T = (double)r->config.T, s[N], sum = 0, loss, m = M;
    const double *q = r->q + i * D;
    const int64_t *index = r->call->index + i * M;
    size_t own = (size_t)r->call->ids[i];
    for (size_t j = 0; j < N; j++)
        s[j] = dot(q, r->bank + j * D) / T;
    if (r->config.bank == BANK_FULL)
        return softmax_loss(s, own, N);
    for (int j = 0; j < M; j++)
        sum += exp(s[index[j]]);
    if (r->config.bank == BANK_SAMPLED)
        return log(N / m * sum) - s[own];
    loss = -log(exp(s[own]) / r->z / (exp(s[own]) / r->z + m / N));
    for (int j = 0; j < M; j++)
        loss -= log(1 - exp(s[index[j]]) / r->z / (exp(s[index[j]]) / r->z + m / N));
    return loss;
}

static double bank_loss(const struct reference *r)
{
    double loss = 0;
    for (int i = 0; i < B; i++) {
        const double *row = r->bank + r->call->ids[i] * D;
        loss += bank_row_loss(r, i) / B;
        for (int d = 0; d < D; d++)
            loss += (double)r->config.proximal / B * (r->q[i * D + d] - row[d]) *
                    (r->q[i * D + d] - row[d]);
    }
    return loss;
}

/* n times the mean of all exp(s) of the batch. */
static double first_z(const struct reference *r)
{
    double sum = 0, T = (double)r->config.T;
    for (int i = 0; i < B; i++) {
        sum += exp(dot(r->q + i * D, r->bank + r->call->ids[i] * D) / T);
        for (int j = 0; j < M; j++)
            sum += exp(dot(r->q + i * D, r->bank + r->call->index[i * M + j] * D) / T);
    }
    return N * sum / (B * (M + 1));
}

static void test_bank(enum bank_loss kind, float proximal)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    config.bank = kind;
    config.proximal = proximal;
    CHECK_MSG(method_memory_bank.open(&state, &config, &simd) == MOCO_OK, "%s", error_text());
    struct reference *r = reference_of(s, &config, bank_loss);
    widen(r->bank, tensor(&method_memory_bank, state, 0).data, N * D);
    r->z = first_z(r);
    s->c.index = kind == BANK_FULL ? NULL : s->index;
    CHECK_MSG(method_memory_bank.loss(state, &s->c) == MOCO_OK, "%s", error_text());
    CHECK_MSG(fabs(s->c.loss - bank_loss(r)) <= 3e-6 * (1 + s->c.loss), "bank %d: loss %g not %g",
              kind, s->c.loss, bank_loss(r));
    check_gradient(r, r->q, s->d_q, B * D, "bank");
    if (kind == BANK_NCE) {
        const float *log_z = tensor(&method_memory_bank, state, 1).data;
        float held = *log_z;
        CHECK(fabs((double)held - log(r->z)) < 1e-5);
        unit_rows(s->q, B, 9); /* Z stays what the first batch made it */
        CHECK(method_memory_bank.loss(state, &s->c) == MOCO_OK && *log_z == held);
    }
    method_memory_bank.close(state);
    free(r);
    free(s);
}

static void test_running_z(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    config.running_z = 1;
    CHECK(method_memory_bank.open(&state, &config, &simd) == MOCO_OK);
    struct reference *r = reference_of(s, &config, bank_loss);
    const float *log_z = tensor(&method_memory_bank, state, 1).data;
    widen(r->bank, tensor(&method_memory_bank, state, 0).data, N * D);
    s->c.index = s->index;
    CHECK(isnan(*log_z) && method_memory_bank.loss(state, &s->c) == MOCO_OK);
    double before = exp((double)*log_z);
    unit_rows(s->q, B, 9);
    widen(r->q, s->q, B * D);
    CHECK(method_memory_bank.loss(state, &s->c) == MOCO_OK);
    double want = 0.9 * before + 0.1 * first_z(r);
    CHECK_MSG(fabs(exp((double)*log_z) / want - 1) < 1e-5, "Z %g, not %g", exp((double)*log_z),
              want);
    method_memory_bank.close(state);
    free(r);
    free(s);
}

static void test_bank_memory(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    CHECK(method_memory_bank.open(&state, &config, &simd) == MOCO_OK);
    const float *rows = tensor(&method_memory_bank, state, 0).data;
    float before[N * D], row[D], inv_norm;
    memcpy(before, rows, sizeof before);
    CHECK(method_memory_bank.remember(state, s->q, s->ids, B) == MOCO_OK);
    for (int64_t j = 0, seen = 0; j < N; j++) {
        int i = 0;
        while (i < B && s->ids[i] != j)
            i++;
        seen += i < B;
        for (int d = 0; d < D && i < B; d++)
            row[d] = 0.5f * before[j * D + d] + 0.5f * s->q[i * D + d];
        if (i < B)
            simd.row_normalise(row, &inv_norm, row, 1, D);
        for (int d = 0; d < D; d++)
            CHECK(i < B ? fabsf(rows[j * D + d] - row[d]) < 1e-6f
                        : rows[j * D + d] == before[j * D + d]);
        CHECK(j < N - 1 || seen == B);
    }
    s->ids[3] = N;
    CHECK(method_memory_bank.loss(state, &s->c) == MOCO_EARG && strstr(error_text(), "70"));
    CHECK(method_memory_bank.remember(state, s->q, s->ids, B) == MOCO_EARG);
    method_memory_bank.close(state);
    free(s);
}

/* Every other row about equally often, the own one never; the same draw for the same place. */
static void test_draws(void)
{
    enum { DRAWS = 20000 };
    static int64_t index[DRAWS], again[DRAWS];
    int count[N] = { 0 };
    bank_draw(index, DRAWS, N, 11, 5, 2, 3);
    bank_draw(again, DRAWS, N, 11, 5, 2, 3);
    CHECK(!memcmp(index, again, sizeof index));
    bank_draw(again, DRAWS, N, 11, 5, 3, 3);
    CHECK(memcmp(index, again, sizeof index));
    for (int i = 0; i < DRAWS; i++)
        count[index[i]]++;
    for (int j = 0; j < N; j++) /* 290 expected, deviation 17 */
        CHECK_MSG(j == 11 ? !count[j] : abs(count[j] - DRAWS / (N - 1)) < 85, "row %d: %d", j,
                  count[j]);
}

void test_memory_bank(void)
{
    for (int kind = BANK_NCE; kind <= BANK_FULL; kind++) {
        test_bank((enum bank_loss)kind, 0.0f);
        test_bank((enum bank_loss)kind, 0.5f);
        test_threads(&method_memory_bank, (enum bank_loss)kind);
    }
    test_running_z();
    test_bank_memory();
    test_draws();
}
