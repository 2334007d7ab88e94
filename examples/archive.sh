#!/bin/sh
# Listen once, ask often. Run it from the top of the repository; it writes to a temporary folder.
set -eu
recordings=$PWD/examples/audio
cd "$(mktemp -d)"
amr extract "$recordings" -o feats.h5
amr predict --query "dog barking" --format table
amr predict --query "a sheep bleats" --query "people are talking" --top 5 --format table
