#!/bin/bash
# Runs one counterpart until standard input closes, so that it cannot outlive the test process, however that dies.
# usage: run.sh bluesky <pdsPort> <plcPort> | mastodon-mock <port> | snac <port> | smtp <smtpPort> <httpPort> | postgres <port>
# Prints exactly one line first: "READY key=value ..." or "FAILED <reason>". After that it answers each line of
# standard input (a command of that counterpart) with one line "OK key=value ..." or "ERROR <reason>".
set -u
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

NAME=${1:-}
PORT=${2:-}
# Half of what the caller waits: a server that does not answer by then is reported with its log.
READY_TRIES=300
READY_PAUSE_SECONDS=0.1
RESTART_TRIES=20
PLAIN_PASSWORD_TRIES=50

failed() { echo "FAILED $*"; exit 1; }
last_of_log() { tail -n 5 "$DATA/server.log" 2>/dev/null | tr '\n' ' ' | cut -c1-600; }

SERVER=
STANDBY=
DATA=
cleanup() {
  trap '' TERM INT HUP
  if [ -n "$STANDBY" ]; then kill -QUIT "$STANDBY" 2>/dev/null; wait "$STANDBY" 2>/dev/null; fi
  if [ -n "$SERVER" ]; then
    # Data is thrown away, so nothing is worth a graceful stop; PostgreSQL takes its children along only on QUIT.
    if [ "$NAME" = postgres ]; then kill -QUIT "$SERVER" 2>/dev/null; else kill -KILL "$SERVER" 2>/dev/null; fi
    wait "$SERVER" 2>/dev/null
  fi
  [ -n "$DATA" ] && rm -rf "$DATA"
}

is_installed "$NAME" || failed "not installed: run testkit/counterparts/install.sh $NAME"

# These two supervise themselves by the same rules.
case "$NAME" in
  bluesky)
    export MODULES_DIR="$CACHE/bluesky"
    exec "$NODE22" "$HERE/bluesky.mjs" "$PORT" "$3"
    ;;
  smtp)
    export PYTHONPATH="$CACHE/smtp/site" PYTHONDONTWRITEBYTECODE=1
    exec "$(cat "$CACHE/smtp/python")" "$HERE/smtp.py" "$PORT" "$3"
    ;;
esac

DATA=$(mktemp -d "${TMPDIR:-/tmp}/so-$NAME.XXXXXX") || failed "no temporary folder"
trap cleanup EXIT
trap 'exit 143' TERM INT HUP

# snac and PostgreSQL refuse to run as root.
AS_NOBODY=()
if [ "$(id -u)" = 0 ]; then AS_NOBODY=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi
give_to_nobody() { [ "$(id -u)" != 0 ] || chown -R nobody:nogroup "$DATA" || failed "could not give $DATA to nobody"; }

# Waits for the server's first answer; fails with REASON set.
wait_until() { # usage: wait_until <command>...
  local try
  for ((try = 0; try < READY_TRIES; try++)); do
    kill -0 "$SERVER" 2>/dev/null || { REASON="the server stopped at once: $(last_of_log)"; return 1; }
    "$@" >/dev/null 2>&1 && return 0
    sleep "$READY_PAUSE_SECONDS"
  done
  REASON="the server did not answer in time: $(last_of_log)"
  return 1
}
answers_mastodon_api() { curl -fsS --max-time 2 -o /dev/null "http://$1:$PORT/api/v1/instance"; }

run_mastodon_mock() {
  PYTHONPATH="$CACHE/mastodon-mock/site" PYTHONDONTWRITEBYTECODE=1 "$(cat "$CACHE/mastodon-mock/python")" -m mastodon_mock \
    serve --in-memory --host 127.0.0.1 --port "$PORT" >"$DATA/server.log" 2>&1 </dev/null &
  SERVER=$!
  wait_until answers_mastodon_api 127.0.0.1 || failed "$REASON"
  echo "READY url=http://127.0.0.1:$PORT token=mock_token user=testuser"
}

run_snac() {
  # The checkout may lie where nobody may not go, so the program is run from the data folder.
  cp "$CACHE/snac/root/usr/bin/snac" "$DATA/snac" && chmod 755 "$DATA" "$DATA/snac"
  local home="$DATA/home" password user=alice
  printf '127.0.0.1\n%s\nlocalhost:%s\n\nadmin@localhost.test\n' "$PORT" "$PORT" | "$DATA/snac" init "$home" >"$DATA/server.log" 2>&1 ||
    failed "snac could not set up its folder: $(last_of_log)"
  # Plain http: there is no proxy with a certificate in front of it here.
  sed -i 's/"protocol": "https"/"protocol": "http"/' "$home/server.json"
  password=$(printf '%s\n' "$user" | "$DATA/snac" adduser "$home" "$user" 2>/dev/null | sed -n 's/^User password is //p')
  [ -n "$password" ] || failed "snac did not make the user $user"
  # Generated passwords are base64; a "+" sent raw in a form would be a blank, now and then. A plain one fails never.
  local try
  for ((try = 0; try < PLAIN_PASSWORD_TRIES; try++)); do
    [[ $password =~ ^[A-Za-z0-9]+$ ]] && break
    password=$("$DATA/snac" resetpwd "$home" "$user" 2>/dev/null | sed -n 's/^New password for user .* is //p')
  done
  give_to_nobody
  "${AS_NOBODY[@]}" "$DATA/snac" httpd "$home" >"$DATA/server.log" 2>&1 </dev/null &
  SERVER=$!
  wait_until answers_mastodon_api localhost || failed "$REASON"
  echo "READY url=http://localhost:$PORT user=$user password=$password"
}

serve_postgres() { # usage: serve_postgres <folder> <port>; the process is $! then
  "${AS_NOBODY[@]}" "$BIN/postgres" -D "$1" -k "$DATA" -p "$2" -c listen_addresses=127.0.0.1 \
    -c fsync=on -c synchronous_commit=on -c shared_buffers=64MB -c max_connections=200 -c timezone=UTC \
    >>"$DATA/server.log" 2>&1 </dev/null &
}
psql_at() { "$BIN/psql" -h 127.0.0.1 -p "$1" -U so -d postgres -qtAc "$2"; } # usage: psql_at <port> <statement>

start_postgres() {
  # Every commit is on disk before it is answered, as in production; shared memory is kept small for two cores.
  serve_postgres "$DB" "$PORT"
  SERVER=$!
  wait_until "$BIN/psql" -h 127.0.0.1 -p "$PORT" -U so -d postgres -qtAc 'select 1'
}

run_postgres() {
  BIN=$(postgres_bin)
  DB="$DATA/db"
  give_to_nobody
  # The cluster is thrown away, so creating it needs no sync; what is committed later is synced.
  (cd / && "${AS_NOBODY[@]}" "$BIN/initdb" -D "$DATA/db" -U so --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions) \
    >"$DATA/server.log" 2>&1 </dev/null || failed "initdb failed: $(last_of_log)"
  start_postgres || failed "$REASON"
  echo "READY host=127.0.0.1 port=$PORT user=so socket=$DATA version=$("$BIN/postgres" --version | sed 's/.*) \([0-9.]*\).*/\1/')"
}

# Children of a killed postmaster hold its shared memory for a moment, and a new one refuses until they are gone.
restart_postgres() {
  local try
  for ((try = 0; try < RESTART_TRIES; try++)); do
    start_postgres && { echo "OK port=$PORT"; return; }
    sleep 0.5
  done
  echo "ERROR $REASON"
}

# A copy that follows the primary; from then on a commit is answered when both have it.
begin_standby() { # usage: begin_standby <port>
  [ -z "$STANDBY" ] || { echo "ERROR there is a standby"; return; }
  STANDBY_PORT=$1
  STANDBY_DB="$DATA/db-$1"
  (cd / && "${AS_NOBODY[@]}" "$BIN/pg_basebackup" -h 127.0.0.1 -p "$PORT" -U so -D "$STANDBY_DB" -R -X stream -c fast --no-sync) \
    >>"$DATA/server.log" 2>&1 </dev/null || { echo "ERROR the copy failed: $(last_of_log)"; return; }
  serve_postgres "$STANDBY_DB" "$STANDBY_PORT"
  STANDBY=$!
  local try
  for ((try = 0; try < READY_TRIES; try++)); do
    [ "$(psql_at "$PORT" "select count(*) from pg_stat_replication where state = 'streaming'" 2>/dev/null)" = 1 ] && break
    sleep "$READY_PAUSE_SECONDS"
  done
  psql_at "$PORT" "alter system set synchronous_standby_names = '*'" && psql_at "$PORT" "select pg_reload_conf()" >/dev/null &&
    echo "OK port=$STANDBY_PORT"
}

# The standby becomes the primary; the former one must be dead.
promote_standby() {
  [ -n "$STANDBY" ] || { echo "ERROR there is no standby"; return; }
  # The copy was made before, yet a second one copies this: nobody waits for a standby that is not there.
  psql_at "$STANDBY_PORT" "select pg_promote(true, 60)" >/dev/null 2>"$DATA/psql.err" </dev/null || { echo "ERROR $(tr '\n' ' ' <"$DATA/psql.err")"; return; }
  psql_at "$STANDBY_PORT" "alter system reset synchronous_standby_names" && psql_at "$STANDBY_PORT" "select pg_reload_conf()" >/dev/null
  rm -rf "$DB"
  SERVER=$STANDBY PORT=$STANDBY_PORT DB=$STANDBY_DB STANDBY=
  echo "OK port=$PORT"
}

command_postgres() { # usage: command_postgres <command> [argument]
  case "$1" in
    create)
      if "$BIN/psql" -h 127.0.0.1 -p "$PORT" -U so -d postgres -qtAc "create database \"$2\"" 2>"$DATA/psql.err" </dev/null; then
        echo "OK database=$2"
      else
        echo "ERROR $(tr '\n' ' ' <"$DATA/psql.err")"
      fi
      ;;
    crash)
      # SIGKILL to the postmaster only: its children notice and go, as after the kernel's memory killer.
      kill -KILL "$SERVER"
      wait "$SERVER" 2>/dev/null
      echo "OK crashed=$SERVER"
      ;;
    crash-all)
      # SIGKILL to the children as well, which then have no moment to say anything.
      local children
      children=$(pgrep -P "$SERVER" | tr '\n' ' ')
      # shellcheck disable=SC2086
      kill -KILL "$SERVER" $children 2>/dev/null
      wait "$SERVER" 2>/dev/null
      echo "OK crashed=$SERVER"
      ;;
    start) restart_postgres ;;
    standby) begin_standby "$2" ;;
    promote) promote_standby ;;
    sql)
      if psql_at "$PORT" "$2" >"$DATA/psql.out" 2>"$DATA/psql.err" </dev/null; then
        echo "OK rows=$(wc -l <"$DATA/psql.out")"
      else
        echo "ERROR $(tr '\n' ' ' <"$DATA/psql.err")"
      fi
      ;;
    *) echo "ERROR unknown command $1" ;;
  esac
}

case "$NAME" in
  mastodon-mock) run_mastodon_mock ;;
  snac) run_snac ;;
  postgres) run_postgres ;;
  *) failed "unknown counterpart '$NAME'" ;;
esac
# Ends at end of file: the caller closed its side or is gone.
while read -r word argument; do
  if [ "$NAME" = postgres ]; then command_postgres "$word" "$argument"; else echo "ERROR $NAME takes no commands"; fi
done
exit 0
