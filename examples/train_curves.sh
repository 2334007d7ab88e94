#!/usr/bin/env bash
# The recipe of a model of the preset `curves`, which answers for any encoder, from labelled clips to the file.
#   examples/train_curves.sh DATA OUT
# DATA is that of train_default.sh; scenes and features in OUT that it made are used as they are. Only the training
# split is trained on; the val split decides what the scores mean.
# Training takes 12 ms of processor an item and pass: half an hour of one core for 900 recordings and 60 passes.
# Its parts were run, the whole was not yet (docs/measurements/0024-curves.md).
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
amr=${AMR:-amr} python=${PYTHON:-python}
mkdir -p "$out"

[ -s "$out/val.jsonl" ] || [ -d "$out/val" ] || "$here/simulate_open.sh" "$data" "$out" 900
cd "$out"
for split in train val; do
  [ -s "$split.jsonl" ] || cp "$split/annotations.jsonl" "$split.jsonl"
  [ -s "$split.h5" ] || $amr extract "$split/audio" --queries "$split.jsonl" -o "$split.h5" -q
done
$amr train train.jsonl --features train.h5 --preset curves -o curves_trained.safetensors --resume
PYTHONPATH=$here:${PYTHONPATH:-} $python "$here/calibrate_curves.py" curves_trained.safetensors val.jsonl val.h5 \
  -o curves.safetensors
