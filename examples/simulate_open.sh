#!/usr/bin/env bash
# Three sets of one-minute recordings with known moments from captioned clips and backgrounds, no source in two.
#   examples/simulate_open.sh DATA OUT [RECORDINGS]
# DATA holds foreground.csv and background.csv (columns file, captions, label, split, domain, contains_labels) and
# the audio that they name. OUT gets train/, val/ and test/: 3,000, 300 and 500 recordings, about 6 GB of FLAC;
# RECORDINGS scales them down (train gets that many).
set -euo pipefail
data=$1 out=$2 train=${3:-3000}
amr=${AMR:-amr}
mkdir -p "$out"

simulate() { # split, recordings, seed, options
  $amr simulate --foreground "$data/foreground.csv" --background "$data/background.csv" --split "$1" \
    --where 'domain!=designed' --preset castella-like --duration 60 --count "$2" --seed "$3" --name-prefix "$1-" \
    -o "$out/$1" --format table "${@:4}"
}

simulate train "$train" 1
simulate val $(((train + 9) / 10)) 2 --disjoint-from "$out/train/recipe.jsonl"
simulate test $(((train + 5) / 6)) 3 --disjoint-from "$out/train/recipe.jsonl" --disjoint-from "$out/val/recipe.jsonl"
