# shellcheck shell=bash
# docs.sh: the documents say what is so.

# Every command of moco that the documents show runs on small data; everything else that they name is
# looked up: options, tests, targets, scripts, jobs, files, links. Job test's build will do.
job_docs() {
    local build=$work/test log=$work/docs.log
    begin docs || return
    if [ ! -x "$build/moco" ]; then
        build=$work/docs
        meson setup "$build" && ninja -C "$build" moco || { bad "docs: build"; return; }
    fi
    python3 -B .ci/docs/check.py "$build" >"$log" || bad "docs: check.py"
    git clone -q . "$work/misspelled" &&
        sed -i 's/--fill-first/--fil-first/' "$work/misspelled/docs/method.md"
    python3 -B "$work/misspelled/.ci/docs/check.py" "$build" |
        grep 'no option --fil-first' >/dev/null && ok ||
        bad "docs: a misspelled option was not noticed"
    python3 -B .ci/docs/run.py "$build/moco" "$work/docs-scratch" >>"$log" || bad "docs: run.py"
    cat "$log"
    passed=$((passed + $(awk '/^ok / { n++ } /^passed: / { n += $2 } END { print n + 0 }' "$log")))
    failed=$((failed + $(grep -c '^FAILED' "$log")))
}
