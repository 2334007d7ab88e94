#!/usr/bin/env bash
# AM-DETR's Figure 3, left: windows of 1, 4 and 7 s in front of the encoder (hop 1 s); mAP on the UnAV-100 subset.
#   examples/reproduce/am_detr_windows.sh DATA OUT
# DATA: annotations as for am_detr_table1.sh, and sound: audio/clotho-moment and audio/unav100-subset (Zenodo 13836117;
# UnAV-100 from its authors). ENCODER is clap (LAION) or msclap, whose weights must be here (docs/clap.md); WINDOWS
# ("1 4 7") are seconds. Extraction takes about a day on a processor, an hour on a GPU, for each window.
source "$(dirname "$0")/common.sh"
encoder=${ENCODER:-clap}
extracted() { # name, folder, window, annotations
  [ -s "$out/$1.h5" ] && return
  # shellcheck disable=SC2086
  (cd "$data" && cat "${@:4}") | $amr extract "$data/audio/$2" --queries - --encoder "$encoder" ${3:+--window $3} \
    --hop "${HOP:-1}" -o "$out/$1.h5" --resume
}
for window in ${WINDOWS:-1 4 7}; do
  length=$window
  [ "$encoder" = yamnet ] && length= # has a window of its own
  extracted "clotho-moment-$window" clotho-moment "$length" clotho_moment_{train,val}_release.jsonl
  extracted "unav100-$window" unav100-subset "$length" unav100-subset_test_release.jsonl
  train "window-$window" clotho_moment_train_release.jsonl clotho_moment_val_release.jsonl \
    --preset am-detr --epochs 100 --features "$out/clotho-moment-$window.h5"
  judge "window-$window.unav100" "$out/window-$window.safetensors" "$out/unav100-$window.h5" \
    unav100-subset_test_release.jsonl
done
# The figure's values are not printed; its text says that shorter is better for AM-DETR.
table <<'ROWS'
AM-DETR, 1 s | UnAV-100 subset | - | - | best of three | Figure 3, left | window-1.unav100
AM-DETR, 4 s | UnAV-100 subset | - | - | between | Figure 3, left | window-4.unav100
AM-DETR, 7 s | UnAV-100 subset | - | - | lowest | Figure 3, left | window-7.unav100
ROWS
