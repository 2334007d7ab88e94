#!/usr/bin/env bash
# The baseline of DCASE 2026 Task 6: QD-DETR on CASTELLA, and on Clotho-Moment before it, five runs of each.
#   examples/reproduce/dcase2026_baseline.sh DATA OUT
# DATA as for castella.sh. RUNS (5) is how many. The baseline keeps the weights of the best R1@0.7 on the validation
# split, puts TEF behind the audio and leaves text as it is; its checkpoint best_checkpoint.pth (Zenodo 20450254), put
# into DATA, is judged as well.
source "$(dirname "$0")/common.sh"
features clotho-moment clotho_moment_{train,val}_release.jsonl
features castella castella_{train,val,test}_release.jsonl
baseline=(--preset am-detr --metric R1@0.7 --set network.tef_first=false --set network.normalise_text=false
  --precision float32)
train synthetic-dcase clotho_moment_train_release.jsonl clotho_moment_val_release.jsonl \
  "${baseline[@]}" --features "$out/clotho-moment.h5"
for number in $(seq "${RUNS:-5}"); do
  seed=(--seed $((2022 + number)) --features "$out/castella.h5")
  train "one-$number" castella_train_release.jsonl castella_val_release.jsonl "${baseline[@]}" "${seed[@]}"
  train "two-$number" castella_train_release.jsonl castella_val_release.jsonl \
    --init "$out/synthetic-dcase.safetensors" --preset am-detr --metric R1@0.7 --precision float32 "${seed[@]}"
  for stages in one two; do
    judge "$stages-$number" "$out/$stages-$number.safetensors" "$out/castella.h5" castella_test_release.jsonl
  done
done
judge_seeds one castella_test_release.jsonl "${RUNS:-5}"
judge_seeds two castella_test_release.jsonl "${RUNS:-5}"
[ ! -s "$data/best_checkpoint.pth" ] ||
  judge released "$data/best_checkpoint.pth" "$out/castella.h5" castella_test_release.jsonl
table <<'ROWS'
CASTELLA only, 5 runs | CASTELLA test | 22.74 ± 0.77 | 10.17 ± 0.86 | 10.49 ± 0.53 | baseline's README | one
Clotho-Moment, then CASTELLA, 5 runs | CASTELLA test | 25.86 ± 0.74 | 13.85 ± 1.47 | 11.74 ± 0.39 | baseline's README | two
released checkpoint | CASTELLA test | 23.16 | 10.32 | 9.11 | baseline's README | released
ROWS
