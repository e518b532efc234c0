#!/bin/bash
# Installs the counterparts into the checkout's cache folder. Idempotent: a second call only reads stamps.
# usage: install.sh [bluesky|mastodon-mock|snac|smtp|postgres|all]...
# Exit status is 0 only when everything asked for is there; what is missing is said on stderr and the rest goes on.
set -u
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Bluesky compiles a native module (minutes on a busy two-core machine); the others only download.
TIME_LIMIT_BLUESKY_SECONDS=900
TIME_LIMIT_SECONDS=300
# A second installer waits for the first at most this long: the longest limit and a margin.
LOCK_WAIT_SECONDS=1000

# Without install scripts: no package of the tree runs code here before it is used.
NPM_OPTIONS=(--ignore-scripts --no-audit --no-fund)

say() { echo "counterparts: $*" >&2; }
fail() { echo "$*" >"$REASON_FILE"; exit 1; }

# Takes the Debian packages that give the named programs; fails with their names where that is not possible.
# usage: need_programs "<program>..." "<debian package>..."
need_programs() {
  local program missing=
  for program in $1; do command -v "$program" >/dev/null || missing="$missing $program"; done
  [ -z "$missing" ] && return 0
  apt_install "$2" || fail "needs$missing: install the packages '$2' (apt-get as root on Debian is the only way this script can do it itself)"
}

apt_install() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
  # dpkg has one lock per machine; apt waits for it instead of failing.
  local apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends $1 && return 0
  "${apt[@]}" update || return 1
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends $1
}

# Takes a Python that has pip. --target needs no venv module and survives moving the checkout.
pip_install() { # usage: pip_install <folder> <requirement>
  local folder=$1 python=
  shift
  for python in /usr/bin/python3 "$(command -v python3)" none; do
    [ -x "$python" ] && "$python" -m pip --version >/dev/null 2>&1 && break
  done
  if [ "$python" = none ]; then
    apt_install "python3 python3-pip" || fail "needs python3 with pip: install the packages python3 and python3-pip"
    python=/usr/bin/python3
  fi
  rm -rf "$folder/site"
  mkdir -p "$folder"
  PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --disable-pip-version-check --no-input \
    --constraint "$HERE/python-constraints.txt" --target "$folder/site" "$@" ||
    fail "pip could not install $*"
  # Compiled wheels fit only the Python that chose them.
  echo "$python" >"$folder/python"
}

install_node() {
  [ -n "$NODE_PACKAGE" ] || fail "no Node build is known for $(uname -m)"
  need_programs "node npm" "nodejs npm"
  mkdir -p "$CACHE/node" && cd "$CACHE/node" || fail "could not create $CACHE/node"
  echo '{"private":true}' >package.json
  npm install "${NPM_OPTIONS[@]}" --no-package-lock "$NODE_PACKAGE@$NODE_VERSION" "node-gyp@$NODE_GYP_VERSION" ||
    fail "npm could not install $NODE_PACKAGE $NODE_VERSION and node-gyp"
  "$NODE22" --version || fail "the downloaded Node does not start"
}

install_bluesky() {
  with_lock node install_node || fail "$(cat "$REASON_FILE" 2>/dev/null || echo "Node $NODE_VERSION could not be installed")"
  need_programs "make g++ python3" "make g++ python3"
  mkdir -p "$CACHE/bluesky" && cd "$CACHE/bluesky" && cp "$HERE"/bluesky/package*.json . || fail "could not fill $CACHE/bluesky"
  npm ci "${NPM_OPTIONS[@]}" || fail "npm could not install the packages of bluesky/package-lock.json"
  # The prebuilt binary of better-sqlite3 is on no package registry, so it is compiled against the headers that Node's package ships.
  local module
  for module in $(find "$CACHE/bluesky/node_modules" -type d -path '*node_modules/better-sqlite3' -prune); do
    cd "$module" || fail "better-sqlite3 is not where npm put it"
    PATH="$(dirname "$NODE22"):$PATH" "$NODE22" "$CACHE/node/node_modules/node-gyp/bin/node-gyp.js" \
      rebuild --release "--nodedir=$CACHE/node/node_modules/$NODE_PACKAGE" || fail "better-sqlite3 could not be compiled"
    # Objects are a hundred megabytes of nothing once the module is linked.
    rm -rf build/Release/obj build/Release/obj.target
  done
  cd "$CACHE/bluesky" && "$NODE22" -e 'const D=require("better-sqlite3"); new D(":memory:").exec("select 1")' ||
    fail "the compiled better-sqlite3 does not load"
}

install_mastodon-mock() {
  pip_install "$CACHE/mastodon-mock" "mastodon-mock==$MASTODON_MOCK_VERSION"
}

install_smtp() { pip_install "$CACHE/smtp" "aiosmtpd==$AIOSMTPD_VERSION"; }

# Unpacks the package of another suite without installing it: apt itself fetches and verifies, in a state folder of its own.
install_snac() {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "needs apt-get and dpkg (Debian) to fetch the package snac2"
  [ -n "$(ldconfig -p | grep 'libcurl.so.4 ')" ] || apt_install libcurl4 || fail "needs the package libcurl4"
  need_programs "setpriv curl" "util-linux curl"
  local home="$CACHE/snac" mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 ~ /^[a-z]+$/ && $1 ~ /debian\/?$/ {print $1; exit}')
  [ -n "$mirror" ] || fail "apt on this machine has no Debian mirror configured"
  rm -rf "$home"
  mkdir -p "$home/apt/lists/partial" "$home/apt/cache/archives/partial"
  echo "deb [signed-by=$keyring] $mirror $SNAC_SUITE main" >"$home/apt/sources.list"
  local apt=(apt-get -q -o "Dir::Etc::SourceList=$home/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$home/apt/lists" -o "Dir::Cache=$home/apt/cache" -o APT::Sandbox::User=root
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  cd "$home" || fail "could not create $home"
  "${apt[@]}" update && "${apt[@]}" download "snac2=$SNAC_VERSION" || fail "apt could not fetch snac2 $SNAC_VERSION of $SNAC_SUITE"
  dpkg -x snac2_*.deb root && rm -rf snac2_*.deb apt
  ldd root/usr/bin/snac | grep 'not found' && fail "snac lacks a shared library (see above)"
  return 0
}

install_postgres() {
  if ! postgres_bin >/dev/null; then
    # Debian's package starts a cluster of its own on port 5432 unless told not to before it is installed.
    if [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
      mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    apt_install postgresql || fail "needs PostgreSQL's server programs: install the package postgresql"
  fi
  local bin
  bin=$(postgres_bin) || fail "initdb, postgres and psql are not found after installing postgresql"
  need_programs setpriv util-linux
  mkdir -p "$CACHE/postgres"
  "$bin/postgres" --version
}

mark() { [ "$1" = postgres ] || stamp_wanted "$1" >"$CACHE/$1/.stamp"; }

with_lock() { # usage: with_lock <name> <function>: one installer per counterpart, others wait and then find the stamp
  mkdir -p "$CACHE/$1"
  (
    flock -w "$LOCK_WAIT_SECONDS" 9 || fail "another installer has held $CACHE/.$1.lock for $LOCK_WAIT_SECONDS s"
    is_installed "$1" && exit 0
    # Marked inside the lock, so that a waiting installer sees the stamp.
    "$2" && mark "$1"
  ) 9>"$CACHE/.$1.lock"
}

install_one() {
  local name=$1 limit=$TIME_LIMIT_SECONDS log="$CACHE/$1.install.log" status
  is_installed "$name" && { say "$name is there"; return 0; }
  [ "$name" = bluesky ] && limit=$TIME_LIMIT_BLUESKY_SECONDS
  say "installing $name (at most $limit s, log in $log)"
  mkdir -p "$CACHE"
  # The bound holds for the whole process tree: timeout runs this script again, for one counterpart.
  timeout --kill-after=10 "$limit" bash "${BASH_SOURCE[0]}" --inside "$name" >"$log" 2>&1 </dev/null
  status=$?
  if [ $status = 0 ]; then
    say "$name is installed"
    return 0
  fi
  local reason
  reason=$(cat "$CACHE/$name.reason" 2>/dev/null)
  [ $status = 124 ] && reason="took longer than $limit s"
  say "=============================================================="
  say "MISSING: $name: ${reason:-failed with status $status}"
  say "Tests that need it will be skipped. Log: $log; its end:"
  tail -n 8 "$log" | sed 's/^/counterparts:   | /' >&2
  say "=============================================================="
  return 1
}

if [ "${1:-}" = --inside ]; then
  REASON_FILE="$CACHE/$2.reason"
  rm -f "$REASON_FILE"
  with_lock "$2" "install_$2"
  exit
fi

command -v flock >/dev/null && command -v timeout >/dev/null || { say "MISSING everything: flock (util-linux) and timeout (coreutils) are needed"; exit 1; }
[ $# -gt 0 ] || set -- all
[ "$1" = all ] && set -- postgres smtp mastodon-mock snac bluesky
worst=0
for name in "$@"; do
  case "$name" in
    bluesky | mastodon-mock | snac | smtp | postgres) install_one "$name" || worst=1 ;;
    *)
      say "unknown counterpart '$name' (known: bluesky, mastodon-mock, snac, smtp, postgres, all)"
      worst=2
      ;;
  esac
done
exit $worst
