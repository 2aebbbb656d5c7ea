#!/usr/bin/env bash
# Installs from the distribution what the platform runs on, when it is missing; with
# the argument `test` also what its tests need. Does nothing on a machine that has it all.
set -euo pipefail

if [ "${1:-}" = test ] && [ "$(id -u)" -ne 0 ]; then
  echo "the end-to-end tests run containers: run this as root (make unit needs no root)" >&2
  exit 1
fi

# command -> Debian package
need=(
  containerd:containerd runc:runc nft:nftables iptables:iptables ip:iproute2
  dig:dnsutils curl:curl
)
[ "${1:-}" = test ] && need+=(gcc:gcc git:git ps:procps)
missing=()
for pair in "${need[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing+=(containernetworking-plugins)
# The race detector links with the C library.
[ "${1:-}" != test ] || [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "missing: ${missing[*]}. Run this as root, or install them first." >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}. This is not a Debian system: install them with its package manager." >&2
  exit 1
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# A service that starts by itself would be a second containerd beside ours.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
