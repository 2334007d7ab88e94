#!/usr/bin/env bash
# The recipe of the model that comes with amr, from labelled clips to the file.
#   examples/train_default.sh DATA OUT
# DATA holds foreground.csv and background.csv (columns file, captions, label, split, domain, contains_labels) and
# the audio that they name. Only its training split is trained on; its val split decides which weights are kept and
# what the scores mean. OUT gets the scenes, their features, best.safetensors and its log. What is there already
# is kept, and the same command goes on with a training that was interrupted.
# Two processor cores, about: 8 minutes to simulate, 26 to extract, 14 to train, one to calibrate.
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
amr=${AMR:-amr} python=${PYTHON:-python}
mkdir -p "$out"

[ -d "$out/test" ] || "$here/simulate_open.sh" "$data" "$out"
# As many recordings again from the same clips, played slower and faster and through other filters.
[ -s "$out/varied/foreground.csv" ] || $python "$here/vary_clips.py" "$data" "$out/varied"
[ -d "$out/train_varied" ] || $amr simulate --foreground "$out/varied/foreground.csv" \
  --background "$data/background.csv" --split train --preset castella-like --duration 60 --count 3000 --seed 4 \
  --name-prefix varied- -o "$out/train_varied" --format table
cd "$out"
for split in train train_varied val; do
  [ -s "$split.jsonl" ] || cp "$split/annotations.jsonl" "$split.jsonl"
  [ -s "$split.h5" ] || $amr extract "$split/audio" --queries "$split.jsonl" -o "$split.h5" -q
done

# The number of threads changes no result. bfloat16 products are fast on processors that have them, slow elsewhere.
cat train.jsonl train_varied.jsonl >train_all.jsonl
$amr train train_all.jsonl --features train.h5 --features train_varied.h5 --features val.h5 --validation val.jsonl \
  --preset best --metric R1@0.7 --epochs 8 --precision bfloat16 --set training.chunk_frames=2048 --store float16 \
  -o trained.safetensors --resume

# Scores that say how often they are right.
$python "$here/calibrate_scores.py" trained.safetensors val.jsonl val.h5 -o best.safetensors
