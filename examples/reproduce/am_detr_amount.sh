#!/usr/bin/env bash
# AM-DETR's Figure 3, right: less of Clotho-Moment to train on; mAP on the UnAV-100 subset.
#   examples/reproduce/am_detr_amount.sh DATA OUT
# DATA as for am_detr_table1.sh. SHARES ("0.125 0.25 0.5 1") are parts of the training queries, taken evenly. The steps
# stay those of 100 passes over all of it, so that only the data differ.
source "$(dirname "$0")/common.sh"
features clotho-moment clotho_moment_{train,val,test}_release.jsonl
features unav100-subset unav100-subset_test_release.jsonl
for share in ${SHARES:-0.125 0.25 0.5 1}; do
  awk -v p="$share" 'int(NR * p) > int((NR - 1) * p)' "$data/clotho_moment_train_release.jsonl" > "$out/train-$share.jsonl"
  passes=$(awk -v p="$share" 'BEGIN { print int(100 / p) }')
  [ -e "$out/amount-$share.done" ] || {
    # shellcheck disable=SC2086
    $amr train "$out/train-$share.jsonl" --validation "$data/clotho_moment_val_release.jsonl" --preset am-detr \
      --epochs "$passes" --features "$out/clotho-moment.h5" -o "$out/amount-$share.safetensors" --resume ${TRAIN:-}
    touch "$out/amount-$share.done"
  }
  judge "amount-$share.unav100" "$out/amount-$share.safetensors" "$out/unav100-subset.h5" \
    unav100-subset_test_release.jsonl
done
# The figure's values are not printed; its text says that more is better up to all of it.
for share in ${SHARES:-0.125 0.25 0.5 1}; do
  echo "AM-DETR, $share of the data | UnAV-100 subset | - | - | rises with data | Figure 3, right | amount-$share.unav100"
done | table
