# shellcheck shell=bash
# What bin/setup, bin/test, bin/demo and bin/lint share: where things live, how a long step is shown,
# and how the database server is entered and left. Sourced, never run.
set -euo pipefail

MODULE=pos_loyalty_engine
REPO=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${POS_LOYALTY_ENGINE_HOME:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/$MODULE}

say() { printf '%s\n' "$*"; }

fail() {
    printf '\n%s: %s\n' "${0#"$REPO"/}" "$*" >&2
    exit 1
}

short_hash() { sha256sum | cut -c1-12; }

#---------------------------------------------------------------------------------------------------
# The cache folder
#---------------------------------------------------------------------------------------------------

case $CACHE in
    [!/]*) fail "POS_LOYALTY_ENGINE_HOME must be an absolute path, it is '$CACHE'." ;;
    # Odoo's settings split a path at commas, the shell around PostgreSQL's at quotes.
    *[,\'\"\\]* | *$'\n'*) fail "The cache folder '$CACHE' has a comma, quote or backslash in its name; set POS_LOYALTY_ENGINE_HOME to another folder." ;;
    # Odoo's translation export follows links: from inside the module it would walk in circles.
    "$REPO" | "$REPO"/*) fail "The cache folder '$CACHE' lies in the checkout; set POS_LOYALTY_ENGINE_HOME to a folder outside of it." ;;
esac
mkdir -p "$CACHE" 2>/dev/null && [[ -w $CACHE ]] ||
    fail "The cache folder '$CACHE' can't be written; set POS_LOYALTY_ENGINE_HOME to a folder of yours."
CACHE=$(cd -- "$CACHE" && pwd -P)

LOGS=$CACHE/log
DATA=$CACHE/data
VENV=$CACHE/venv
# Two clones share everything but this.
CHECKOUT=$CACHE/checkouts/$(printf %s "$REPO" | short_hash)
mkdir -p "$LOGS" "$DATA/filestore" "$CHECKOUT/addons"

#---------------------------------------------------------------------------------------------------
# Steps that take a while
#---------------------------------------------------------------------------------------------------

# Leaders of process groups of ours: on_exit ends them with all their children.
JOBS=()

# progress TEXT BEGIN: how long it has been going on since $SECONDS was BEGIN; in a log, every 15 s.
progress() {
    local passed=$((SECONDS - $2))
    if [[ -t 1 ]]; then
        ((passed < 1)) || printf '\r  %s ... %d s ' "$1" "$passed"
    elif ((passed >= PROGRESS_NEXT)); then
        printf '  %s ... %d s\n' "$1" "$passed"
        PROGRESS_NEXT=$((passed + 15))
    fi
    if ((passed < 3)); then sleep 0.1; else sleep 0.5; fi
}
progress_over() {
    PROGRESS_NEXT=0
    [[ ! -t 1 ]] || printf '\r\033[K'
}
PROGRESS_NEXT=0

# step NAME TEXT COMMAND...: runs it with the time shown and its output in log/NAME.log; then STEP_STATUS.
# Not for "step ... || ...": there the shell would let the command's own steps fail unseen.
step() {
    local text=$2 begin=$SECONDS job
    STEP_NAME=$1
    STEP_STATUS=0
    shift 2
    set -m
    "$@" >"$LOGS/$STEP_NAME.log" 2>&1 </dev/null &
    job=$!
    JOBS+=("$job")
    set +m
    while kill -0 "$job" 2>/dev/null; do progress "$text" "$begin"; done
    wait "$job" || STEP_STATUS=$?
    JOBS=()
    progress_over
    ((STEP_STATUS)) || say "  $text: done in $((SECONDS - begin)) s"
}

# take_lock FD WHAT: waits for a lock that another command holds, at most 30 minutes.
take_lock() {
    flock -n "$1" && return
    say "  $2: waiting for it, at most 30 minutes."
    # In the background, so that an interrupt is heard at once.
    flock -w 1800 "$1" &
    wait $! || fail "$2 for 30 minutes now: end it, then run this again."
}

# or_explain MEND: ends with MEND where the last step failed.
or_explain() { ((STEP_STATUS == 0)) || explain "$STEP_NAME" "$1"; }

# network_failed NAME: whether the step of that name, one that downloads, failed for want of a network.
network_failed() {
    [[ $1 =~ ^(apt-.*|odoo|odoo-git|venv|node)$ ]] &&
        grep -qiE 'could(n.t| not) resolve|temporary failure|name resolution|name or service not known|network is unreachable|connection (refused|timed out)|could not connect|getaddrinfo|EAI_AGAIN|ENOTFOUND|NewConnectionError' "$LOGS/$1.log"
}

# explain NAME MEND: ends with one sentence on why the step of that name failed.
explain() {
    local log=$LOGS/$1.log mend=$2
    printf '\n' >&2
    tail -n 12 "$log" | cut -c1-300 | sed 's/^/    /' >&2
    if grep -qiE 'no space left|disk full|not have enough free space' "$log"; then
        fail "The disk is full: free some space or set POS_LOYALTY_ENGINE_HOME to a folder on another disk, then run it again."
    elif network_failed "$1"; then
        fail "The network can't be reached (log: $log): run it again once it can be; what is already there is kept."
    fi
    fail "$mend (log: $log)"
}

need_space() {
    local folder=$1 need=$2 free
    free=$(df -Pm -- "$folder" | awk 'NR == 2 { print $4 }')
    ((free >= need)) ||
        fail "$folder has $free MB free and $need MB are needed: free some space or set POS_LOYALTY_ENGINE_HOME to a folder on another disk."
}

#---------------------------------------------------------------------------------------------------
# Odoo
#---------------------------------------------------------------------------------------------------

# odoo_find: sets ODOO_ROOT (for PYTHONPATH), ODOO_ADDONS and ODOO_ID (changes with the sources).
odoo_find() {
    local root=${ODOO_PATH:-$CACHE/odoo} candidate release=''
    for candidate in "$root" "$root/usr/lib/python3/dist-packages"; do
        if [[ -f $candidate/odoo/release.py ]]; then
            ODOO_ROOT=$(cd -- "$candidate" && pwd -P)
            release=$ODOO_ROOT/odoo/release.py
            break
        fi
    done
    [[ $release ]] || return 1
    grep -qE '^version_info = \(19, *0' "$release" ||
        fail "$ODOO_ROOT is not Odoo 19.0: set ODOO_PATH to a checkout of the branch 19.0, or unset it."
    ODOO_ADDONS=
    for candidate in "$ODOO_ROOT/addons" "$ODOO_ROOT/odoo/addons"; do
        # Debian's package has a second addons folder, of Python files alone.
        if [[ -d $candidate/point_of_sale/views || -f $candidate/base/data/base_data.sql ]]; then
            ODOO_ADDONS+=${ODOO_ADDONS:+,}$candidate
        fi
    done
    [[ $ODOO_ADDONS ]] || fail "$ODOO_ROOT has no addons folder with point_of_sale: set ODOO_PATH to a whole checkout of Odoo 19.0."
    ODOO_ID=$({
        printf '%s\n' "$ODOO_ROOT" "$CACHE"
        cat "$release"
        cat "$root/.complete" 2>/dev/null || true
        git -C "$ODOO_ROOT" rev-parse HEAD 2>/dev/null || true
    } | short_hash)
    TEMPLATE=ple_template_$ODOO_ID
    # One database per checkout and Odoo, so that two clones don't collide.
    # shellcheck disable=SC2034
    DATABASE_KEY=$(printf '%s\n' "$REPO" "$ODOO_ID" | short_hash)
}

# Started in a folder of its own: "python -m" puts the current folder first on Python's path.
odoo() { (cd "$CHECKOUT" && PYTHONPATH=$ODOO_ROOT exec "$VENV/bin/python" -m odoo "$@"); }

# odoo_conf FILE DATABASE [LINE...]: settings for one database; libpq reads a password from PGPASSWORD.
odoo_conf() {
    local file=$1 database=$2
    shift 2
    ln -sfn "$REPO" "$CHECKOUT/addons/$MODULE"
    {
        say "[options]"
        say "addons_path = $ODOO_ADDONS,$CHECKOUT/addons"
        say "data_dir = $DATA"
        say "db_host = $PGHOST"
        [[ -z ${PGPORT:-} ]] || say "db_port = $PGPORT"
        say "db_user = $PGUSER"
        say "db_name = $database"
        say "dbfilter = ^$database\$"
        say "list_db = False"
        say "http_interface = 127.0.0.1"
        (($# == 0)) || printf '%s\n' "$@"
    } >"$file.part"
    mv "$file.part" "$file"
}

free_port() {
    "$VENV/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# What an update of the module depends on: all of its files but those that no database ever reads.
module_hash() {
    (
        cd "$REPO"
        find . \( -name .git -o -name node_modules -o -name __pycache__ -o -name '.*_cache' \
            -o -path ./.ci -o -path ./bench -o -path ./bin -o -path ./docs -o -path ./drill -o -path ./sandbox -o -path ./tests \
            -o -path ./static/tests -o -path ./requirements \) -prune -o \
            -type f -regex '.*\.\(py\|xml\|csv\|sql\|js\|scss\|po\|pot\)' -print0 |
            sort -z | xargs -0 sha256sum
    ) | short_hash
}

#---------------------------------------------------------------------------------------------------
# PostgreSQL: a cluster of our own without a TCP port, or the server that $PGHOST names
#---------------------------------------------------------------------------------------------------

# PostgreSQL refuses root, and its user can't reach a cache folder under /root.
if ((EUID == 0)); then
    PG_HOME=/var/lib/$MODULE/$(printf %s "$CACHE" | short_hash)
    PG_ACCOUNT=$(getent passwd postgres >/dev/null && echo postgres || echo nobody)
else
    PG_HOME=$CACHE/postgres
    PG_ACCOUNT=
fi
PG_SOCKET=$PG_HOME/socket
PG_USERS=

pg_is_ours() { [[ -z ${PGHOST:-} || $PGHOST == "$PG_SOCKET" ]]; }

if pg_is_ours; then
    # Meant for another server, and PGPORT would even move ours.
    unset PGPORT PGSERVICE PGDATABASE PGPASSWORD PGSSLMODE
    PGUSER=pos_loyalty
fi
export PGUSER=${PGUSER:-$(id -un)}

# Without the user's own settings, which may print more than what was asked for.
psql() { command psql -X "$@"; }

# pg_find: sets PG_BIN to the programs that fit the cluster, or the newest.
pg_find() {
    local folder wanted
    wanted=$(cat "$PG_HOME/data/PG_VERSION" 2>/dev/null || true)
    PG_BIN=
    while read -r folder; do
        [[ -x $folder/initdb && -x $folder/postgres ]] || continue
        if [[ -z $wanted || $("$folder/postgres" --version) =~ [[:space:]]$wanted([.[:space:]]|$) ]]; then
            PG_BIN=$folder
            break
        fi
    done < <(
        find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -Vr
        command -v pg_config >/dev/null && pg_config --bindir
        dirname "$(command -v initdb || echo /none)"
    )
    [[ $PG_BIN ]] || {
        [[ -z $wanted ]] || say "The database cluster in $PG_HOME was made by PostgreSQL $wanted." >&2
        return 1
    }
    export PATH=$PG_BIN:$PATH
}

# As the cluster's owner, with none of our locks: a lock would live on in a server that stays up.
as_pg() {
    (
        cd /
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd < 3)) || eval "exec $fd>&-"
        done
        if [[ $PG_ACCOUNT ]]; then
            exec runuser -u "$PG_ACCOUNT" -- "$@"
        else
            exec "$@"
        fi
    )
}

pg_start() { as_pg "$PG_BIN/pg_ctl" -D "$PG_HOME/data" -l "$PG_HOME/log" -w -t 60 start; }

# pg_enter: the server is up until pg_leave. Every command that uses it holds a shared lock; the last
# one that leaves stops the server, unless it was up already when the first one came.
pg_enter() {
    local mutex
    if ! pg_is_ours; then
        pg_foreign
        return
    fi
    export PGHOST=$PG_SOCKET
    exec {mutex}>"$CACHE/postgres.lock"
    flock -w 120 "$mutex" || fail "Another command has been starting PostgreSQL for 2 minutes: end it, then run this again."
    exec {PG_USERS}>"$CACHE/postgres.users"
    flock -s "$PG_USERS"
    if ! pg_isready -q; then
        pg_start >"$LOGS/postgres.log" 2>&1 ||
            explain postgres "PostgreSQL did not start; its own log is $PG_HOME/log"
        : >"$PG_HOME/started"
    fi
    exec {mutex}>&-
}

pg_leave() {
    local mutex everyone
    [[ $PG_USERS ]] || return 0
    exec {mutex}>"$CACHE/postgres.lock"
    flock -w 120 "$mutex" || return 0
    # Closed, not unlocked: children that live on keep the lock, and with it the server.
    exec {PG_USERS}>&-
    PG_USERS=
    exec {everyone}>"$CACHE/postgres.users"
    if [[ -e $PG_HOME/started ]] && flock -n "$everyone"; then
        rm -f "$PG_HOME/started"
        as_pg "$PG_BIN/pg_ctl" -D "$PG_HOME/data" -m fast -w -t 60 stop >"$LOGS/postgres-stop.log" 2>&1 || true
    fi
    exec {everyone}>&- {mutex}>&-
}

# The user's own server: it needs a role for Odoo that may create databases.
pg_foreign() {
    local version
    [[ $PGUSER != postgres ]] || fail "Odoo refuses the database role 'postgres': set PGUSER to another role that may create databases."
    version=$(psql -d postgres -Atc 'SHOW server_version_num' 2>"$LOGS/postgres.log") ||
        explain postgres "PGHOST is set to '$PGHOST', but role '$PGUSER' can't connect there: set PGUSER and PGPASSWORD, or unset PGHOST for a server of our own"
    ((version >= 130000)) || fail "The server at '$PGHOST' is older than PostgreSQL 13: use a newer one, or unset PGHOST for a server of our own."
    [[ $(psql -d postgres -Atc 'SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user') == t ]] ||
        fail "The role '$PGUSER' at '$PGHOST' may not create databases: run 'ALTER ROLE $PGUSER CREATEDB' there, or unset PGHOST for a server of our own."
}

db_exists() { [[ $(psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = '$1'") == 1 ]]; }

db_drop() {
    PGOPTIONS=--client-min-messages=warning dropdb --if-exists --force "$1"
    rm -rf "${DATA:?}/filestore/$1"
}

# db_copy NAME: a new database from the template. Odoo never writes into a stored file: links will do.
db_copy() {
    db_drop "$1"
    createdb -T "$TEMPLATE" "$1"
    cp -al "$DATA/filestore/$TEMPLATE" "$DATA/filestore/$1"
    # Copied with the database, but must differ for each (sessions of one would open the other).
    psql -q -d "$1" -c "UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key IN ('database.uuid', 'database.secret')"
}

#---------------------------------------------------------------------------------------------------
# The end, whatever the reason
#---------------------------------------------------------------------------------------------------

on_exit() {
    local status=$?
    trap '' INT TERM HUP
    for job in "${JOBS[@]}"; do kill -TERM -- "-$job" 2>/dev/null || true; done
    for job in "${JOBS[@]}"; do
        for _ in {1..100}; do
            kill -0 -- "-$job" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$job" 2>/dev/null || true
    done
    pg_leave
    exit "$status"
}
hear_signals() {
    trap 'say; exit 130' INT
    trap 'exit 143' TERM HUP
}
trap on_exit EXIT
hear_signals
