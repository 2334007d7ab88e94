#!/usr/bin/env bash
# The recipe of the model that comes with amr, from labelled clips to the file.
#   examples/train_default.sh DATA OUT [SEED]
# DATA holds open/ with foreground.csv and background.csv (columns file, captions, label, split, domain,
# contains_labels) and the audio that they name. Only the training split is trained on; the val split decides which
# weights are kept and what the scores mean. OUT gets the features of the scenes, best.safetensors and its log. What
# is there already is kept, and the same command goes on with what was interrupted. SEED, of the training, is 2026.
# Two processor threads of one core, about: 40 minutes for the scenes and their features, 25 to train, two to calibrate.
set -euo pipefail
data=$1 out=$2 seed=${3:-2026}
here=$(cd "$(dirname "$0")" && pwd)
amr=${AMR:-amr} python=${PYTHON:-python}
mkdir -p "$out"

simulate() { # name, clips, recordings, seed, split, options: features and annotations, no audio files
  [ -s "$out/$1/annotations.jsonl" ] && [ -s "$out/$1.h5" ] && return
  $amr simulate --foreground "$2/foreground.csv" --background "$data/open/background.csv" --split "$5" \
    --where 'domain!=designed' --preset castella-like --duration 60 --count "$3" --seed "$4" \
    --features "$out/$1.h5" -o "$out/$1" --resume --format table "${@:6}"
}

# As many recordings again from the same clips, played slower and faster and through other filters.
[ -s "$out/varied/foreground.csv" ] || $python "$here/vary_clips.py" "$data/open" "$out/varied"
simulate train "$data/open" 3000 1 train --name-prefix train-
simulate train_varied "$out/varied" 3000 4 train --name-prefix varied-
simulate val "$data/open" 300 2 val --name-prefix val- \
  --disjoint-from "$out/train/recipe.jsonl" --disjoint-from "$out/train_varied/recipe.jsonl"

# The number of threads changes no result. bfloat16 products are fast on processors that have them, slow elsewhere.
cd "$out"
cat train/annotations.jsonl train_varied/annotations.jsonl >train_all.jsonl
cp val/annotations.jsonl val.jsonl
$amr train train_all.jsonl --features train.h5 --features train_varied.h5 --features val.h5 --validation val.jsonl \
  --preset best --set network.prototypes=3584 --epochs 8 --metric R1@0.7 --precision bfloat16 \
  --set training.chunk_frames=2048 --seed "$seed" --store float16 -o trained.safetensors --resume

# Scores that say how often they are right.
$python "$here/calibrate_scores.py" trained.safetensors val.jsonl val.h5 -o best.safetensors
