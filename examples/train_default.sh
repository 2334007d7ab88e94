#!/usr/bin/env bash
# The recipe of the model that comes with amr, from labelled clips to the file.
#   examples/train_default.sh DATA OUT [SEED]
# DATA holds open/ with foreground.csv and background.csv (columns file, captions, label, split, domain,
# contains_labels), open_more/ with foreground.csv, more clips to train on, and the audio that they name. Only the training
# split is trained on; the val split decides which weights are kept and what the scores mean. OUT gets the features of
# the scenes, best.safetensors and its log. What is there already is kept, and the same command goes on with
# what was interrupted. SEED, of the training, is 2026. START=FILE begins with the weights of an earlier model instead of
# random ones: two passes in place of eight, at half the rate; what the clips sound like is measured anew.
# Two processor cores with nothing else to do, about: 45 minutes for the scenes and their features, 14 to train, one to
# calibrate.
set -euo pipefail
data=$1 out=$2 seed=${3:-2026}
[ -z "${START:-}" ] || START=$(realpath "$START")
here=$(cd "$(dirname "$0")" && pwd)
amr=${AMR:-amr} python=${PYTHON:-python}
# How long real moments are: the training split of AudioGrounding (Xu et al. 2021), 20,196 segments in clips of 10 s.
audiogrounding=table:0=0.1,0.05=0.25,0.1=0.36,0.2=0.59,0.3=0.82,0.4=1.1,0.5=1.51,0.6=2.15,0.7=3.31,0.75=4.34
audiogrounding+=,0.8=6.07,0.85=9.06,0.9=10,1=10
mkdir -p "$out"

simulate() { # name, clips, recordings, seed, split, options: features and annotations, no audio files
  [ -s "$out/$1/annotations.jsonl" ] && [ -s "$out/$1.h5" ] && return
  $amr simulate --foreground "$2/foreground.csv" --background "$data/open/background.csv" --split "$5" \
    --where 'domain!=designed' --preset castella-like --duration 60 --count "$3" --seed "$4" \
    --features "$out/$1.h5" -o "$out/$1" --resume --format table "${@:6}"
}

[ -s "$out/clips/foreground.csv" ] || $python "$here/join_clips.py" "$data" "$out/clips"
# As many recordings again from the same clips, played slower and faster and through other filters, with moments as
# short as real ones.
[ -s "$out/varied/foreground.csv" ] || $python "$here/vary_clips.py" "$out/clips" "$out/varied"
simulate train "$out/clips" 3000 1 train --name-prefix train-
simulate train_varied "$out/varied" 3000 4 train --name-prefix varied- --length "$audiogrounding"
simulate val "$data/open" 300 2 val --name-prefix val- \
  --disjoint-from "$out/train/recipe.jsonl" --disjoint-from "$out/train_varied/recipe.jsonl"

# The number of threads changes no result. bfloat16 products are fast on processors that have them, slow elsewhere.
cd "$out"
cat train/annotations.jsonl train_varied/annotations.jsonl >train_all.jsonl
cp val/annotations.jsonl val.jsonl
if [ -n "${START:-}" ]; then
  recipe=(--init before.safetensors --set training.measure_anew=true --learning-rate 1e-3 --epochs 2)
  [ -s before.safetensors ] || cp "$START" before.safetensors
else
  recipe=(--set network.prototypes=3584 --epochs 8)
fi
$amr train train_all.jsonl --features train.h5 --features train_varied.h5 --features val.h5 --validation val.jsonl \
  --preset best "${recipe[@]}" --metric R1@0.7 --precision bfloat16 --set training.chunk_frames=2048 \
  --seed "$seed" --store float16 -o trained.safetensors --resume

# Scores that say how often they are right.
$python "$here/calibrate_scores.py" trained.safetensors val.jsonl val.h5 -o best.safetensors
