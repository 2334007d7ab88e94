#!/usr/bin/env bash
# The recipe of curves, the model that comes with amr for any encoder, from labelled clips to the file.
#   examples/train_curves.sh DATA OUT [SEED]
# DATA is that of train_default.sh. OUT gets curves.safetensors, its log, and scenes with their features.
# What is there already is kept, and the same command goes on with what was interrupted. Only the training split is
# trained on; the val split decides what the scores mean. SEED, of the training, is 2026.
# One processor core, about: half an hour for the scenes and their features, 20 minutes to train, 10 to calibrate.
set -euo pipefail
data=$1 out=$2 seed=${3:-2026}
here=$(cd "$(dirname "$0")" && pwd)
amr=${AMR:-amr} python=${PYTHON:-python}
mkdir -p "$out"

simulate() { # name, recordings, seed, split, options: features and annotations, no audio files
  [ -s "$out/$1/annotations.jsonl" ] && [ -s "$out/$1.h5" ] && return
  $amr simulate --foreground "$data/open/foreground.csv" --background "$data/open/background.csv" --split "$4" \
    --where 'domain!=designed' --preset castella-like --duration 60 --count "$2" --seed "$3" \
    --features "$out/$1.h5" -o "$out/$1" --resume --format table "${@:5}"
}

simulate curves_train 3000 1 train --name-prefix train-
simulate curves_val 300 2 val --name-prefix val- --disjoint-from "$out/curves_train/recipe.jsonl"

cd "$out"
for split in train val; do cp "curves_$split/annotations.jsonl" "curves_$split.jsonl"; done
$amr train curves_train.jsonl --features curves_train.h5 --preset curves --seed "$seed" -o curves_trained.safetensors --resume
PYTHONPATH=$here:${PYTHONPATH:-} $python "$here/calibrate_curves.py" curves_trained.safetensors curves_val.jsonl \
  curves_val.h5 -o curves.safetensors
