#!/bin/sh
# Pays through a step-up with curl alone, as the bank's page describes it; the phone signs with `stepup-phone approve ID --sign-only`.
#
#   stepup-server serve &
#   examples/pay_with_curl.sh [server]
#
# SERVER       the verification server (default http://127.0.0.1:8080)
# PREFIX       the path before the bank's own (default /bank; empty for `serve --dialect bank`)
# STEPUP_PHONE the phone's command (default stepup-phone)
# PHONE_HOME   the phone's folder (default: a temporary one, enrolled here and removed at the end)
set -eu

server=${1:-${SERVER:-http://127.0.0.1:8080}}
bank=$server${PREFIX-/bank}/v1
phone=${STEPUP_PHONE:-stepup-phone}
api_key='X-APIKEY: demo-api-key'
json='Content-Type: application/json'
username=9de3e326-b5bb-4cdc-bf6d-f6b609fbb765
passcode=111234
payment='{"amount":"10.00","currency":"GBP","payee":{"name":"ACME Ltd","sortCode":"112233","accountNumber":"12345678"}}'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
home=${PHONE_HOME:-$work/phone}
answer=$work/answer.json

# post PATH BODY [HEADER …]: leaves the answer in $answer and prints its status.
post() {
    path=$1 body=$2
    shift 2
    set -- "$@" "$api_key" "$json"
    for header in "$@"; do
        shift
        set -- "$@" -H "$header"
    done
    curl --silent --show-error -o "$answer" -w '%{http_code}' --data-binary "$body" "$@" "$bank$path"
}

# member NAME: the text of a member of the JSON on stdin.
member() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# expect STATUS GOT WHAT
expect() {
    if [ "$1" != "$2" ]; then
        echo "$3: expected $1, got $2: $(cat "$answer")" >&2
        exit 1
    fi
    echo "$2  $3"
}

# The phone, once: two keys in its secure hardware, made known to the bank.
printf '%s\n' "$passcode" | "$phone" enrol --passcode - --server "$server" --home "$home" --json >/dev/null
echo "     phone enrolled"

expect 200 "$(post /oauth2/login "{\"username\":\"$username\",\"passcode\":\"$passcode\"}")" "logged in"
bearer="Authorization: Bearer $(member accessToken <"$answer")"

expect 403 "$(post /payments/domestic "$payment" "$bearer")" "payment refused: $(member message <"$answer")"
transaction=$(member transactionId <"$answer")

# The phone shows the payment; its user approves; the request that carries the evidence is printed instead of sent.
printf '%s\n' "$passcode" | "$phone" approve "$transaction" --sign-only --passcode - --server "$server" --home "$home" --json \
    >"$work/request.json" 2>"$work/shown.txt"
sed 's/^/     /' "$work/shown.txt"
evidence=$(member X-Device-Assertion <"$work/request.json")

status=$(post /oauth2/stepup "{\"username\":\"$username\",\"passcode\":\"$passcode\"}" \
    "$bearer" "X-TransactionId: $transaction" "X-Device-Assertion: $evidence")
expect 200 "$status" "stepped up"
bearer="Authorization: Bearer $(member accessToken <"$answer")"

expect 201 "$(post /payments/domestic "$payment" "$bearer" "X-TransactionId: $transaction")" "paid: $(member status <"$answer")"
expect 403 "$(post /payments/domestic "$payment" "$bearer" "X-TransactionId: $transaction")" "replayed once more, refused"
