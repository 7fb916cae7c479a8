# shellcheck shell=bash
# What bin/bench and bin/drill share: fresh databases, and a Python program that runs Odoo on them.
# Sourced after bin/setup, never run.

RIG_DATABASES=()

# rig_python MODULE [ARGUMENT...]
rig_python() {
    cd "$CHECKOUT"
    BENCH_FOLDER=$CHECKOUT BENCH_KEY=$DATABASE_KEY BENCH_LOGS=$LOGS ODOO_ROOT=$ODOO_ROOT \
        PYTHONPATH=$REPO PYTHONUNBUFFERED=1 exec "$VENV/bin/python" -m "$@"
}

# rig_database NAME [MODULE]: a fresh one, and the settings to run Odoo on it.
rig_database() {
    local database=ple_bench_${1}_$DATABASE_KEY conf=$CHECKOUT/bench-$1.conf
    RIG_DATABASES+=("$database")
    odoo_conf "$conf" "$database"
    db_copy "$database"
    [[ ${2:-} ]] || return 0
    step "bench-install" "Installing the module" odoo -c "$conf" -i "$2" --stop-after-init --no-http
    or_explain "The module can't be installed"
}

# rig_run MODULE [ARGUMENT...]: runs it, drops the databases, and exits with its exit code.
rig_run() {
    local status=0 name
    # A process group of its own: at the end nothing of it is left, whatever happened.
    set -m
    rig_python "$@" </dev/null &
    JOBS+=($!)
    set +m
    wait "${JOBS[0]}" || status=$?
    JOBS=()
    for name in "${RIG_DATABASES[@]}"; do db_drop "$name"; done
    exit "$status"
}
