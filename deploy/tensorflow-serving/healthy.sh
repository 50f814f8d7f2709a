#!/usr/bin/env bash
# Usage: healthy.sh MODEL [PORT]. Ends with 0 where some version of MODEL answers requests, else with 1.
# The image has neither curl nor wget, so this speaks HTTP through bash.
set -euo pipefail
model=$1
port=${2:-8501}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$model" >&3
grep -q '"state": *"AVAILABLE"' <&3
