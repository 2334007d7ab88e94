# Sourced by the scripts beside it: features once, trainings that go on where they were, a figure a file.
#   SCRIPT.sh DATA OUT
# TRAIN holds further options of amr train, for a try: TRAIN="--epochs 1 --set network.hidden_dim=32".
set -euo pipefail
data=$1 out=$2
amr=${AMR:-amr} python=${PYTHON:-python3}
here=$(dirname "${BASH_SOURCE[0]}")
mkdir -p "$out"
exec 3>&1 1>&2 # the table alone is the product

features() { # name, annotations: a tree of .npz files as one file
  [ -s "$out/$1.h5" ] && return
  (cd "$data" && cat "${@:2}") | $amr extract --from-npz "$data/features/$1" --queries - -o "$out/$1.h5"
}

train() { # model, annotations, validation, options: the best of the validation is kept
  [ -e "$out/$1.done" ] && return
  # shellcheck disable=SC2086
  $amr train "$data/$2" --validation "$data/$3" -o "$out/$1.safetensors" --resume "${@:4}" ${TRAIN:-}
  touch "$out/$1.done"
}

judge() { # answers, model, features, annotations: its answers and their figures
  [ -s "$out/$1.json" ] && return
  $amr predict --model "$2" --queries "$data/$4" "$3" -o "$out/$1.jsonl" --force
  $amr score "$out/$1.jsonl" "$data/$4" --format json -o "$out/$1.json" --force
}

judge_seeds() { # answers, annotations, runs: mean, sd and interval over runs that were judged as NAME-1, NAME-2, ...
  local files=()
  for number in $(seq "$3"); do files+=("$out/$1-$number.jsonl"); done
  $amr score "${files[@]}" "$data/$2" --seeds --format json -o "$out/$1.json" --force
}

table() { # rows of "system | set | R1@0.5 | R1@0.7 | mAP as published | their source | answers here" on stdin
  $python "$here/figures.py" "$out" >&3
}
