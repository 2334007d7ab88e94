#!/usr/bin/env bash
# AM-DETR as zero-shot sound event detection on TUT 2017 (section V-C): F1 over frames of one second.
#   examples/reproduce/am_detr_sed.sh DATA OUT
# DATA and OUT as for am_detr_table1.sh, whose model is taken. The paper tunes the threshold on a development set, which
# is not published with annotations; DEV=FILE (annotations) tunes on it, without it the threshold is 0.5.
source "$(dirname "$0")/common.sh"
[ -s "$out/am-detr.tut2017.jsonl" ] || "$here/am_detr_table1.sh" "$data" "$out" > "$out/table1.md"
tuned=()
[ -z "${DEV:-}" ] || {
  $amr predict --model "$out/am-detr.safetensors" --queries "$DEV" "$out/tut2017.h5" -o "$out/dev.jsonl" --force
  tuned=(--tune-on "$out/dev.jsonl" "$DEV")
}
$amr score --task sed "$out/am-detr.tut2017.jsonl" "$data/tut2017_test_release.jsonl" ${tuned[@]+"${tuned[@]}"} \
  --format json -o "$out/sed.json" --force
table <<'ROWS'
AM-DETR, threshold 0.5 or tuned | TUT 2017 | - | - | F1 at least 77 % of a supervised system's | the paper's prose | sed
ROWS
