#!/bin/sh
# Instructions for each operation, counted by valgrind: free of noise, the same on a busy machine as on a quiet one.
#
#     benches/instructions.sh            all operations
#     benches/instructions.sh encrypt    some of them
#
# Instructions for one operation = (those of 2n times - those of n times) / n, so that what is prepared cancels out.
#
# What they are not is time, nor what the processor here would execute. Valgrind shows a processor of its own: AVX2,
# AES-NI, PCLMULQDQ, BMI2 if the real one has them; no AVX-512, no VAES, no ADX, no SHA-NI. Crates that look at run time
# fall back by themselves; AES and GHASH still use their instructions, curve arithmetic AVX2 instead of AVX-512 IFMA, and
# SHA-256 portable code, at several times the instructions, which weighs on everything symmetric here (compare with
# other counts, not with times). A build for a fixed target (RUSTFLAGS with target-cpu) does not look, and dies of an
# illegal instruction: RUSTFLAGS is unset here.
set -eu

cd "$(dirname "$0")/.."
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS || true

command -v valgrind >/dev/null || {
    echo 'valgrind is not there' >&2
    exit 1
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

# Cargo says where the program is.
program=$(cargo bench --locked --bench instructions --no-run 2>&1 | tee "$temporary/build" |
    sed -n 's/.*Executable.*instructions.*(\(.*\))$/\1/p')
[ -x "$program" ] || {
    cat "$temporary/build" >&2
    exit 1
}

[ $# -gt 0 ] || set -- $("$program")

count() {
    valgrind --tool=callgrind --callgrind-out-file="$temporary/callgrind" "$program" "$1" "$2" \
        >"$temporary/out" 2>&1 || {
        cat "$temporary/out" >&2
        exit 1
    }
    sed -n 's/^\(summary\|totals\): *\([0-9]*\).*/\2/p' "$temporary/callgrind" | tail -n 1
}

echo '| operation | instructions |'
echo '|-----------|-------------:|'
for operation do
    case $operation in
    # Two epochs of the post-quantum ratchet, so that each message has its share of them.
    ping-pong*) n=174 ;;
    handshake) n=8 ;;
    *) n=64 ;;
    esac
    once=$(count "$operation" $n)
    twice=$(count "$operation" $((2 * n)))
    echo "| $operation | $(((twice - once) / n)) |"
done
