#!/usr/bin/env bash
# The recipe of the shipped model, from labelled clips to a model file, and what it scores.
#   examples/train_default.sh DATA OUT [RECORDINGS] [EPOCHS]
# DATA holds foreground.csv and background.csv (columns file, captions, label, split, domain, contains_labels) and
# the audio that they name; only its training split is trained on, its val split decides what is kept. OUT gets
# features, annotations, model.safetensors and its log. The same command again goes on with what was interrupted.
set -euo pipefail
data=$1 out=$2 recordings=${3:-6000} epochs=${4:-60}
amr=${AMR:-amr}
mkdir -p "$out"

simulate() { # split, recordings, seed
  [ -s "$out/$1.jsonl" ] && return
  $amr simulate --foreground "$data/foreground.csv" --background "$data/background.csv" --split "$1" \
    --where 'domain!=designed' --preset castella-like --duration 60 --absent 2 --count "$2" --seed "$3" \
    --name-prefix "$1-" --features "$out/$1.h5" -o "$out/$1" --resume --format json -q > "$out/$1.part"
  mv "$out/$1.part" "$out/$1.jsonl"
}

simulate train "$recordings" 1
simulate val $(((recordings + 9) / 10)) 2
simulate test $(((recordings + 9) / 10)) 3

# The similarity of frame and query in the encoder's joint space goes in as two curves; scores learn the IoU;
# a third of the questions ask for what is not there; any caption of a label may ask for it.
cat > "$out/recipe.toml" <<'TOML'
preset = "am-detr"
[network]
similarity_channels = 2
[loss]
score_loss = "varifocal"
background_weight = 0.1
[training]
absent_share = 0.3
wordings = "label"
schedule = "cosine"
learning_rate = 2e-4
batch_size = 64
warmup_steps = 200
ema_decay = 0.999
metric = "R1@0.7"
seed = 2026
TOML

$amr train "$out/train.jsonl" --features "$out/train.h5" --features "$out/val.h5" --validation "$out/val.jsonl" \
  --config "$out/recipe.toml" --epochs "$epochs" --store float16 --resume -o "$out/model.safetensors"

for split in val test; do
  echo "$split:"
  $amr predict --model "$out/model.safetensors" --queries "$out/$split.jsonl" "$out/$split.h5" \
    -o "$out/$split.preds.jsonl" --force
  $amr score "$out/$split.preds.jsonl" "$out/$split.jsonl" --format table
done
