# Shared by the scripts beside it (`. "$(dirname "$0")/lib.sh"`), never run by itself.
#
# Owns: messages, setting up a Debian machine, waiting for a line of a log, and ending what was started.
# Every process that a script starts goes through `start`, so that `stop_all` ends exactly those, by their id.
# shellcheck shell=bash

set -eEuo pipefail
export LC_ALL=C

# From Cargo.toml; older compilers fail with an error that does not say so.
manifest=$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml
rust_minimum_minor=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' "$manifest")

# shellcheck disable=SC2034 # the scripts use them
bold='' green='' red='' plain=''
# shellcheck disable=SC2034
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; fi

say() { printf '%s\n' "$*"; }
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
fail() { printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2; exit 1; }

# need PROGRAM=PACKAGE…: installs the Debian packages of the programs that are missing, or names the command
# that would. PACKAGE alone stands for a program of the same name. A path instead of a program is looked for
# as a file.
need() {
  local wanted program package missing=()
  for wanted in "$@"; do
    program=${wanted%%=*} package=${wanted#*=}
    case $program in
      /*) [ -e "$program" ] || missing+=("$package") ;;
      *) command -v "$program" >/dev/null || missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null ||
    fail "missing: ${missing[*]} (Debian's package names); please install them, then run this again"
  if [ "$(id -u)" -ne 0 ]; then
    fail "missing packages; run this, then this script again:
  sudo apt-get install --yes --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  install_packages "${missing[@]}" ||
    { apt-get update -qq && install_packages "${missing[@]}"; } ||
    fail "apt-get could not install: ${missing[*]}"
}

# Installs packages. A server among them must not start by itself: policy-rc.d is the package system's own
# switch for that.
install_packages() {
  local policy=/usr/sbin/policy-rc.d ours=no rc=0
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && ours=yes; fi
  apt-get install -qq --yes --no-install-recommends "$@" >/dev/null </dev/null || rc=$?
  [ $ours = no ] || rm -f "$policy"
  return $rc
}

# Rust comes from rustup: Debian's own compiler is too old, but Debian 13 and later package rustup itself.
ensure_rust() {
  local environment=${CARGO_HOME:-$HOME/.cargo}/env
  # shellcheck disable=SC1090
  if ! command -v cargo >/dev/null && [ -r "$environment" ]; then . "$environment"; fi
  if ! command -v cargo >/dev/null && [ "$(id -u)" -eq 0 ] && has_candidate rustup; then
    need rustup && rustup toolchain install stable --profile default --no-self-update
  fi
  command -v cargo >/dev/null ||
    fail "cargo is missing, and Debian 12 has no Rust that is new enough; run this, then this script again:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
  local minor
  minor=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -ge "$rust_minimum_minor" ] ||
    fail "$(rustc --version) is too old, 1.$rust_minimum_minor is needed: rustup update stable"
}

has_candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }

# What building the workspace takes beside Rust: a C compiler for aws-lc and mimalloc.
need_build_tools() {
  need gcc g++ ld=binutils /usr/include/stdlib.h=libc6-dev make git curl \
    /etc/ssl/certs/ca-certificates.crt=ca-certificates
}

# wait_for TEXT FILE [SECONDS]: until a line of FILE contains TEXT; prints that line. Fails after that time.
wait_for() {
  local text=$1 file=$2 seconds=${3:-10} line
  local end=$((SECONDS + seconds))
  while :; do
    if line=$(grep -F -m1 -- "$text" "$file" 2>/dev/null); then printf '%s\n' "$line"; return; fi
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

started=()
work=${work:-} # the script's temporary folder

# start NAME COMMAND…: in the background, its output in $work/NAME.log; the process id in $started_pid.
start() {
  local name=$1
  shift
  : >"$work/$name.log"
  "$@" >>"$work/$name.log" 2>&1 </dev/null &
  started_pid=$!
  started+=("$started_pid")
}

# stop PID [SECONDS]: SIGTERM, then SIGKILL when the time is over. Gives the exit status of the process.
stop() {
  local pid=$1 seconds=${2:-10} rc=0
  local end=$((SECONDS + seconds))
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.05; done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || rc=$?
  started=("${started[@]/#%$pid/}")
  return $rc
}

stop_all() {
  local pid
  for pid in "${started[@]}"; do [ -z "$pid" ] || stop "$pid" 5 || true; done
  started=()
}
