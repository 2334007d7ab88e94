#!/usr/bin/env bash
# CASTELLA (arXiv 2511.15131): trained on synthetic recordings only, on CASTELLA only, and on one after the other.
#   examples/reproduce/castella.sh DATA OUT
# DATA: annotations clotho_moment_{train,val}_release.jsonl and castella_{train,val,test}_release.jsonl (Zenodo 17129257
# and 17412176; line/lighthouse, data/), features/clotho-moment and features/castella (the same Zenodo records).
# CASTELLA's stage takes about 25 minutes on a small GPU.
source "$(dirname "$0")/common.sh"
features clotho-moment clotho_moment_{train,val}_release.jsonl
features castella castella_{train,val,test}_release.jsonl
train synthetic clotho_moment_train_release.jsonl clotho_moment_val_release.jsonl \
  --preset am-detr --features "$out/clotho-moment.h5"
train real castella_train_release.jsonl castella_val_release.jsonl --preset am-detr --features "$out/castella.h5"
train both castella_train_release.jsonl castella_val_release.jsonl \
  --preset am-detr --init "$out/synthetic.safetensors" --features "$out/castella.h5"
for model in synthetic real both; do
  judge "$model.castella" "$out/$model.safetensors" "$out/castella.h5" castella_test_release.jsonl
done
table <<'ROWS'
QD-DETR, both stages | CASTELLA test | 25.61 | 13.59 | 12.06 | organisers' reference | both.castella
UVCOM, both stages | CASTELLA test | 31.7 | 20.3 | 15.9 | the paper's best | -
both stages less synthetic only | CASTELLA test | - | +10.4 (its README: +5.4) | - | the paper's abstract | -
QD-DETR, synthetic only | CASTELLA test | - | - | - | not printed | synthetic.castella
QD-DETR, CASTELLA only | CASTELLA test | - | - | - | see dcase2026_baseline.sh | real.castella
ROWS
