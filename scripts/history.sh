#!/usr/bin/env bash
# Lists the commits since BASE that CONTRIBUTING.md does not allow: those that
# change more than 1500 lines and do more than move files, and those without a
# body. It fails if there are any. Merges are left out.
# usage: scripts/history.sh BASE
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -ne 1 ]; then
	echo "usage: scripts/history.sh BASE" >&2
	exit 2
fi

most=1500
bad=0 count=0
commits=$(git rev-list --no-merges --reverse "$1..HEAD")
for commit in $commits; do
	count=$((count + 1))
	# Of a file that was moved, only the lines that changed on the way count. A
	# move from one file into others shows as lines that are taken away and put
	# elsewhere: a line that is on both sides counts for nothing.
	lines=$(git show --format= --numstat -M50% "$commit" | awk '$1 != "-" { n += $1 + $2 } END { print n + 0 }')
	if [ "$lines" -gt "$most" ]; then
		lines=$(git show --format= -M50% -U0 "$commit" | awk '
			/^(\+\+\+|---) / { next }
			/^[-+]/ { text = substr($0, 2); gsub(/[ \t]/, "", text); if (text == "") next
				n[text] += /^\+/ ? 1 : -1 }
			END { for (text in n) sum += n[text] < 0 ? -n[text] : n[text]; print sum + 0 }')
	fi
	if [ "$lines" -gt "$most" ]; then
		echo "$(git log -1 --format='%h %s' "$commit"): $lines changed lines, $most are the most but for moves"
		bad=$((bad + 1))
	fi
	if [ -z "$(git log -1 --format=%b "$commit" | tr -d '[:space:]')" ]; then
		echo "$(git log -1 --format='%h %s' "$commit"): no body that says why"
		bad=$((bad + 1))
	fi
done
if [ $bad -gt 0 ]; then
	echo "history: $bad faults in $count commits" >&2
	exit 1
fi
echo "history: $count commits, each with a body and of readable size"
