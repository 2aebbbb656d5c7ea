#!/usr/bin/env bash
# Starts `runway dev` in the background unless it runs, deploys examples/hello and
# asks it over HTTPS and DNS. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/demo-env.sh

if [ "$(id -u)" -ne 0 ]; then
  echo "make demo runs containers: run it as root" >&2
  exit 1
fi

mkdir -p "$demo_dir"
if ! bin/runway dev status --data-dir "$demo_dir" >/dev/null 2>&1; then
  rm -f "$demo_dir/dev.out" # its "ready" is that of a cluster before
  echo "starting runway dev (log: $demo_dir/dev.log)"
  setsid bin/runway dev --data-dir "$demo_dir" --link-context >"$demo_dir/dev.out" 2>"$demo_dir/dev.log" </dev/null &
  deadline=$((SECONDS + 90))
  until grep -sqx ready "$demo_dir/dev.out"; do
    if ! kill -0 $! 2>/dev/null; then
      echo "runway dev ended; the end of $demo_dir/dev.log:" >&2
      tail -n 20 "$demo_dir/dev.log" >&2
      exit 1
    fi
    if [ $SECONDS -ge $deadline ]; then
      echo "runway dev was not ready in 90 s; see $demo_dir/*.log" >&2
      exit 1
    fi
    sleep 0.2
  done
fi

ctl() { bin/runwayctl --config "$demo_dir/runwayctl.yml" "$@"; }

echo "building the image of examples/hello"
go run ./examples/build -o "$demo_dir/hello.tar" ./examples/hello
ctl deploy hello -f examples/hello/runway.yml --image "docker-archive:$demo_dir/hello.tar"

name=hello.default.runway.localhost
url=https://$name:8443/
code=$(curl -sS --cacert "$demo_dir/ca.crt" --resolve "$name:8443:127.0.0.1" -o /dev/null -w '%{http_code}' "$url")
address=$(dig +short +time=2 +tries=2 @127.0.0.1 -p 5353 "$name" A | head -n1)
echo "https $url $code"
echo "dns $name ${address:-none}"
[ "$code" = 200 ] || { echo "the service did not answer 200" >&2; exit 1; }
[ -n "$address" ] || { echo "DNS did not answer" >&2; exit 1; }

cat <<TEXT

Next:
  bin/runwayctl ps hello                 where its replicas run
  bin/runwayctl scale hello 3            three of them
  bin/runwayctl logs hello -f            what they write
  curl --cacert $demo_dir/ca.crt $url
  make demo-stop                         remove every trace
TEXT
