#!/usr/bin/env bash
# The held-out sets on which judge_default.py judges a model: annotations and features.
#   examples/heldout_sets.sh DATA OUT
# DATA holds open/, open_more/, evaluation_nc/ and natural_short/, each with foreground.csv, open/ and evaluation_nc/ also
# with background.csv, open/ with real.csv. OUT gets
#   scenes, absent                   the test set of simulate_open.sh; its queries where they are absent
#   paraphrased, absent_paraphrased  the same questions in the words of paraphrases.csv
#   esc, absent_esc                  scenes of ESC-50 classes that no training clip has
#   esc50, absent_esc50              three of all 50 classes a minute, 0 to 20 dB; every class that is not there
#   household, absent_household      scenes of natural household and voice clips, many under two seconds
#   short                            stretches of scenes that what is asked for mostly fills
#   real                             annotated natural recordings
# as OUT/*.jsonl with features in scenes.h5, esc.h5, esc50.h5, household.h5, short.h5 and real.h5. SCENES=DIR takes a test set that
# is there already (DIR/annotations.jsonl, DIR/recipe.jsonl, features in DIR.h5). The same command again makes what is
# missing.
# evaluation_nc and natural_short are for measuring only: keep OUT out of the repository and out of training.
set -euo pipefail
data=$1 out=$2
amr=${AMR:-amr} python=${PYTHON:-python3}
here=$(dirname "$0")
mkdir -p "$out"

simulate() { # name, recordings, seed, options: features and annotations, no audio files
  [ -s "$out/$1/annotations.jsonl" ] && [ -s "$out/$1.h5" ] && return
  $amr simulate --preset castella-like --duration 60 --count "$2" --seed "$3" --features "$out/$1.h5" \
    -o "$out/$1" --resume --format table "${@:4}"
}

if [ -n "${SCENES:-}" ]; then
  [ -e "$out/scenes.h5" ] || ln -s "$(realpath "$SCENES.h5")" "$out/scenes.h5"
else
  SCENES=$out/scenes
  simulate scenes 500 3 --foreground "$data/open/foreground.csv" --background "$data/open/background.csv" \
    --split test --where 'domain!=designed' --name-prefix test-
fi

$python "$here/heldout_annotations.py" tables "$data" "$out"
simulate esc 200 4 --foreground "$out/esc_clips.csv" --foreground-root "$data" --background \
  "$out/esc_backgrounds.csv" --background-root "$data" --name-prefix esc-
simulate esc50 160 6 --foreground "$out/esc50_clips.csv" --foreground-root "$data" --background \
  "$out/esc_backgrounds.csv" --background-root "$data" --name-prefix esc50- --layout scatter --queries 3 \
  --occurrences 1 --foreground-level weights:0=1,5=1,10=1,20=1 --background-level 0
simulate household 150 8 --foreground "$data/natural_short/foreground.csv" --background \
  "$out/esc_backgrounds.csv" --background-root "$data" --name-prefix household-

[ -s "$out/real.h5" ] || $amr extract "$data/open/real" -o "$out/real.h5" --resume

$python "$here/heldout_annotations.py" write "$data" "$out" "$SCENES"
$python "$here/short_recordings.py" "$out"
