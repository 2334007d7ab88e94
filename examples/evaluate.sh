#!/bin/sh
# From annotated queries to metrics in one pipe, and what chance would score. Run it from the top of the repository.
set -eu
work=$(mktemp -d)
truth=examples/queries.jsonl
amr extract examples/audio --queries "$truth" -o "$work/feats.h5"
echo "similarity in a sliding window:"
amr predict --queries "$truth" "$work/feats.h5" | amr score - "$truth" --format table
echo "the middle half of every recording, unheard:"
amr predict --model prior:middle --queries "$truth" | amr score - "$truth" --format table
