#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# e2e.sh - barid beside Postfix and Dovecot: mail in by SMTP until it is visible by IMAP. Both run at the same time,
# and take turns for ROUNDS (3) rounds, so that the machine's mood meets both. Prints a Markdown table of medians and
# their ratio. Needs root and ../shared/bench. MESSAGES=2000 SIZE=4096 CONNECTIONS=20 BENCH_USERS=100
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
shared=$(cd ../shared/bench && pwd)
messages=${MESSAGES:-2000} size=${SIZE:-4096} connections=${CONNECTIONS:-20} users=${BENCH_USERS:-100} rounds=${ROUNDS:-3}
[ "$(id -u)" = 0 ] || { echo "e2e.sh: must be root (cgroups, the peers' users)" >&2; exit 1; }

work=$(mktemp -d /tmp/bb.XXXXXX)
chmod 755 "$work"
results=$work/results
cleanup() {
	"$shared/peers/barid" down "$work/b" >/dev/null 2>&1 || true
	"$shared/peers/classic-mail" down "$work/c" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

echo "starting Postfix + Dovecot and barid ..." >&2
BENCH_BIN=$("$shared/load/build.sh")
export BENCH_BIN
USERS=$users "$shared/peers/classic-mail" up "$work/c" >"$work/c.log" 2>&1 </dev/null || { cat "$work/c.log" >&2; exit 1; }
USERS=$users BARID=${BARID:-$PWD/build/barid} "$shared/peers/barid" up "$work/b" >"$work/b.log" 2>&1 </dev/null || { cat "$work/b.log" >&2; exit 1; }

value() { sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" <<<"$1"; }

round() { # round NAME FOLDER: one run against one of them; a line `NAME accept e2e cpu p99` to the results
	local json port
	port=$(sed -n 's/^IMAPS_PORT=//p' "$2/peer.env")
	json=$("$shared/load/e2e.sh" -p "$(sed -n 's/^SMTP_PORT=//p' "$2/peer.env")" -i "$port" -T -D "$2" \
		-c "$connections" -n "$messages" -s "$size" -u "$users")
	echo "$json" >&2
	echo "$1 $(value "$json" rate) $(value "$json" e2e_rate) $(value "$json" cpu_s_per_1000) $(value "$json" p99_ms)" >>"$results"
}

pss() { "$shared/peers/peerstat" "$1" mem | sed -n 's/.*pss_kib=\([0-9]*\).*/\1/p'; }

sleep 2
idle_c=$(pss "$work/c") idle_b=$(pss "$work/b")
for ((i = 1; i <= rounds; i++)); do
	echo "round $i of $rounds" >&2
	if ((i % 2)); then order="c b"; else order="b c"; fi
	for who in $order; do round "$who" "$work/$who"; done
done

median() { awk -v who="$1" -v col="$2" '$1 == who { print $col }' "$results" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { # row LABEL COLUMN UNIT: the ratio is barid's value over the peers'
	local b c
	b=$(median b "$2") c=$(median c "$2")
	awk -v l="$1" -v b="$b" -v c="$c" -v u="$3" 'BEGIN { printf "| %s | %s %s | %s %s | %s |\n", l, b, u, c, u, (c > 0 ? sprintf("%.2f", b / c) : "-") }'
}
echo
echo "$messages messages of $size bytes, $connections connections, $users users, $rounds rounds, medians; $(nproc) cores,"
echo "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), kernel $(uname -r)."
echo
echo "| measure | barid | Postfix + Dovecot | ratio |"
echo "|---|---|---|---|"
row "accepted" 2 "/s"
row "until visible by IMAP" 3 "/s"
row "CPU" 4 "s per 1000"
[ -z "$(median b 5)" ] || row "p99 of a transaction" 5 "ms"
awk -v b="$idle_b" -v c="$idle_c" 'BEGIN { printf "| idle memory (PSS) | %.1f MiB | %.1f MiB | %.2f |\n", b / 1024, c / 1024, b / c }'
