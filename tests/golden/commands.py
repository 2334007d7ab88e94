"""The command lines whose transcripts are kept, each in a folder that ``inputs.py`` fills."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Command lines that run one after the other in one folder.

    Args:
        name: of the case and its transcript.
        lines: ``amr ... [< FILE] [> FILE]``.
        outputs: files and folders to show afterwards.
        terminal: standard output is a terminal.
        networks: networks, decoders or resamplers make some numbers, whose last digits are the machine's.
        needs: a library beyond those of the package itself.
    """

    name: str
    lines: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    terminal: bool = False
    networks: bool = False
    needs: str = ""


TINY = " ".join(
    f"--set network.{setting}"
    for setting in (
        "hidden_dim=16",
        "heads=2",
        "feedforward_dim=32",
        "cross_layers=1",
        "encoder_layers=1",
        "queries=4",
        "unused_text_positions=0",
    )
)
DATA = "train.jsonl --features tree --validation val.jsonl"
TRAIN = f"amr train {DATA} --preset am-detr --batch-size 4 --epochs 2 {TINY}"
SHEEP = 'amr predict --query "a sheep bleats"'
SOURCES = "--foreground fg.csv --background bg.csv --duration 8 --sample-rate 8000 --mean-gap 1"
SIMULATE = f"amr simulate {SOURCES} --count 2 --workers 1"


def heard(name: str, *lines: str, outputs: tuple[str, ...] = (), terminal: bool = False) -> Case:
    """A case in which networks compute, or sound is resampled."""
    return Case(name, lines, outputs, terminal, networks=True)


PREDICT = (
    heard(
        "predict_table", 'amr predict --query "someone chops wood" examples/audio --workers 1', terminal=True
    ),
    heard(
        "predict_several_table",
        f'{SHEEP} --query "a violin concerto" --min-score 0.5',
        terminal=True,
    ),
    heard("predict_jsonl", f"{SHEEP} --top-k 3 -o found.jsonl", outputs=("found.jsonl",)),
    heard("predict_queries_stdin", "amr predict --queries - --top-k 2 feats.h5 < questions.txt"),
    heard("predict_top", "amr predict --queries questions.txt --top 3"),
    heard("predict_group", f"{SHEEP} --top 2 --group recording --top-k 2"),
    heard("predict_group_table", f"{SHEEP} --top 2 --group recording --top-k 2", terminal=True),
    heard("predict_min_score", f"{SHEEP} --min-score 0.3"),
    heard("predict_saliency", f"{SHEEP} --saliency --top-k 1 examples/audio/main_square.ogg --hop 0.96"),
    heard("predict_window", f"{SHEEP} --model window --top-k 3 --fraction 0.4 --filter 1 --gap 1"),
    Case("predict_prior", ("amr predict --model prior:middle --queries examples/queries.jsonl",)),
    heard("predict_bound", "amr predict --queries bound.jsonl --top-k 2 --model best -v"),
    heard("predict_stranger", "amr predict --queries stranger.jsonl feats.h5"),
    heard("predict_like", "amr predict --like bleat.wav --top 3", f"{SHEEP} --like bleat.wav --top 3"),
    heard("overview", "amr overview feats.h5 --min-score 0.1"),
    heard("overview_table", "amr overview feats.h5", terminal=True),
    heard("predict_tune", "amr predict --tune examples/queries.jsonl feats.h5"),
    heard(
        "predict_shards",
        f"{SHEEP} --top-k 1 --shard 1/2",
        f"{SHEEP} --top-k 1 --shard 2/2",
    ),
    heard(
        "predict_shortlist",
        "amr predict --index feats.h5",
        f"{SHEEP} --top 2 --shortlist 4 feats.h5",
        f"{SHEEP} --top 2 feats.h5",
        f"{SHEEP} --top 2 --model window --shortlist all feats.h5",
        outputs=("feats.h5.index", "feats.h5.best.index"),
    ),
)

EXTRACT = (
    heard(
        "extract_file",
        "amr extract examples/audio/main_square.ogg --workers 1 -o one.h5",
        outputs=("one.h5",),
    ),
    heard(
        "extract_queries",
        "amr extract examples/audio --queries questions.txt --store float32 --workers 1 -o f.h5",
        outputs=("f.h5",),
    ),
    heard(
        "extract_append_resume",
        "amr extract examples/audio/main_square.ogg --workers 1 -o f.h5",
        "amr extract examples/audio/main_square.ogg --workers 1 -o f.h5",
        "amr extract examples/audio/sheepfield.ogg --append --workers 1 -o f.h5",
        "amr extract examples/audio --resume --workers 1 -o f.h5",
        outputs=("f.h5",),
    ),
    heard(
        "extract_shards_merge",
        "amr extract examples/audio --shard 1/2 --workers 1 -o f.1of2.h5",
        "amr extract examples/audio --shard 2/2 --workers 1 -o f.2of2.h5",
        "amr extract --merge f.1of2.h5 f.2of2.h5 -o f.h5",
        outputs=("f.h5",),
    ),
    Case(
        "extract_npz",
        (
            "amr extract --from-npz tree --queries val.jsonl --store float32 -o f.h5",
            "amr extract f.h5 --to-npz again --queries val.jsonl",
        ),
        ("f.h5", "again"),
    ),
    heard(
        "extract_names",
        "amr extract - --append --workers 1 -o f.h5 < names.txt",
        outputs=("f.h5",),
    ),
    Case(
        "extract_refused",
        (
            "amr extract -o f.h5",
            "amr extract nowhere.wav -o f.h5",
            "amr extract examples/queries.jsonl -o f.h5",
            "amr extract examples/audio -o feats.h5",
            "amr extract examples/audio --shard 3/2 -o f.h5",
            "amr extract examples/audio --encoder nothing -o f.h5",
        ),
    ),
)

SIMULATIONS = (
    heard("simulate", f"{SIMULATE} --seed 3 -o sim", outputs=("sim",)),
    Case("simulate_table", (f"{SIMULATE} -o sim",), terminal=True),
    Case(
        "simulate_scatter",
        (f"{SIMULATE} --layout scatter --absent 1 --distractors 0.3 --plan -o sim",),
        ("sim",),
    ),
    heard(
        "simulate_again",
        f"{SIMULATE} --audio-format wav -o sim -q > truth.jsonl",
        "amr simulate --recipe sim/recipe.jsonl --foreground fg.csv --background bg.csv -o again",
        outputs=("sim/audio", "again"),
    ),
    Case("simulate_published", ("amr simulate --recipe recipe_small.json --plan",)),
    heard(
        "simulate_features",
        f"{SIMULATE} --features sim.h5 -o sim",
        outputs=("sim.h5", "sim"),
    ),
    Case(
        "simulate_refused",
        (
            "amr simulate",
            f"{SIMULATE} --duration often -o sim",
            "amr simulate --foreground nowhere.csv --background bg -o sim",
            f"{SIMULATE} --where colour=red -o sim",
        ),
    ),
)

TRAININGS = (
    heard(
        "train",
        f"{TRAIN} -o m.safetensors",
        "amr info m.safetensors",
        "amr predict --model m.safetensors --queries val.jsonl --top-k 1 tree",
        outputs=("m.safetensors", "m.safetensors.log.jsonl"),
    ),
    heard("train_table", f"{TRAIN} --preset lcs-detr --epochs 1 -o m.safetensors", terminal=True),
    heard("train_seeds", f"{TRAIN} --seeds 2 --store float16 -o m.safetensors", outputs=("m-2.safetensors",)),
    Case(
        "train_refused",
        (
            "amr train train.jsonl",
            "amr train nowhere.jsonl --features tree -o m.safetensors",
            "amr train train.jsonl --features feats.h5 -o m.safetensors",
            "amr train train.jsonl --features tree --set network.colour=red -o m.safetensors",
        ),
    ),
)

SCORES = (
    Case("score", ("amr score a.jsonl gt.jsonl",)),
    Case("score_table", ("amr score a.jsonl gt.jsonl",), terminal=True),
    Case("score_stdin", ("amr score - gt.jsonl --bootstrap 0 < b.jsonl",)),
    Case("score_official", ("amr score c.jsonl gt.jsonl --official",)),
    Case(
        "score_per_query",
        ("amr score b.jsonl gt.jsonl --per-query each.jsonl --format table",),
        ("each.jsonl",),
    ),
    Case(
        "score_breakdown",
        (
            "amr score b.jsonl gt.jsonl --breakdown --lengths 3,6 --bootstrap 0",
            "amr score b.jsonl gt.jsonl --by source --bootstrap 100 --format table",
        ),
    ),
    Case("score_compare", ("amr score a.jsonl b.jsonl c.jsonl gt.jsonl --compare --bootstrap 500",)),
    Case(
        "score_several_tables",
        (
            "amr score a.jsonl b.jsonl gt.jsonl --compare",
            "amr score a.jsonl b.jsonl c.jsonl gt.jsonl --seeds",
        ),
        terminal=True,
    ),
    Case("score_seeds", ("amr score a.jsonl b.jsonl c.jsonl gt.jsonl --seeds --seed 4",)),
    Case(
        "score_partial",
        ("amr score few.jsonl gt.jsonl", "amr score few.jsonl gt.jsonl --partial --bootstrap 0"),
    ),
    Case(
        "score_sed",
        (
            "amr score --task sed sed.jsonl sed_gt.jsonl --labels labels.tsv",
            "amr score --task sed sed.jsonl sed_gt.jsonl --tune-on sed.jsonl sed_gt.jsonl --format table",
        ),
    ),
    Case(
        "score_refused",
        (
            "amr score a.jsonl",
            "amr score a.jsonl gt.jsonl --no-such-option",
            "amr score nowhere.jsonl gt.jsonl",
            "amr score broken.jsonl gt.jsonl",
            "amr score wrong.jsonl gt.jsonl",
            "amr score a.jsonl a.jsonl",
        ),
    ),
)

PLOTS = (
    Case(
        "plot_page",
        (
            "amr plot a.jsonl --truth gt.jsonl --html page.html --title T",
            "amr plot sed.jsonl --html -",
        ),
        ("page.html",),
    ),
    Case(
        "plot_text",
        ("amr plot a.jsonl --truth gt.jsonl --qid q1", "amr plot sed.jsonl --limit 2"),
        terminal=True,
    ),
    Case(
        "plot_png",
        ("amr plot a.jsonl b.jsonl --truth gt.jsonl --figure iou -o iou.png",),
        ("iou.png",),
        needs="matplotlib",
    ),
    Case(
        "plot_refused",
        (
            "amr plot a.jsonl -o x.png",
            "amr plot a.jsonl --qid nobody -o x.png",
            "amr plot a.jsonl --figure iou -o x.png",
            "amr plot nowhere.jsonl --html x.html",
            "amr plot a.jsonl --html gt.jsonl",
        ),
    ),
)

CONVERSIONS = (
    Case(
        "convert_csv",
        (
            "amr convert a.jsonl --to csv --top 2 -o a.csv",
            "amr convert a.csv --to predictions --min-score 0.5",
            "amr convert - --to csv < gt.jsonl",
        ),
        ("a.csv",),
    ),
    Case(
        "convert_audacity",
        (
            "amr convert b.jsonl --to audacity --dir labels --top-k 1",
            "amr convert labels/clip0.txt labels/clip5.txt --to annotations --ids b.jsonl",
        ),
        ("labels",),
    ),
    Case(
        "convert_rttm",
        ("amr convert sed.jsonl --to rttm > sed.rttm", "amr convert sed.rttm --to annotations"),
        ("sed.rttm",),
    ),
    Case(
        "convert_jams",
        ("amr convert sed.jsonl --to jams --dir jams", "amr convert jams/v.jams --to predictions"),
        ("jams",),
    ),
    Case(
        "convert_dcase",
        (
            "amr convert --dcase-form",
            "amr convert a.jsonl --dcase form.ini --queries gt.jsonl --report report.pdf -o s.zip",
        ),
        ("s.zip",),
    ),
    heard(
        "convert_clips",
        "amr convert examples/queries.jsonl --clips found --audio examples/audio --context 0.25 --top-k 1",
        outputs=("found",),
    ),
    Case(
        "convert_refused",
        (
            "amr convert",
            "amr convert a.jsonl",
            "amr convert a.jsonl --to audacity",
            "amr convert nowhere.csv --to annotations",
            "amr convert a.jsonl --to csv -o gt.jsonl",
        ),
    ),
)

INFOS = (
    heard("info_features", "amr info feats.h5", "amr info --quick feats.h5 tree --format table"),
    Case("info_lines", ("amr info gt.jsonl a.jsonl bound.jsonl recipe_small.json",)),
    Case("info_table", ("amr info gt.jsonl sed.jsonl",), terminal=True),
    Case("info_refused", ("amr info", "amr info nowhere.h5", "amr info broken.jsonl bleat.wav")),
)

HELP = (Case("help", ("amr -h", "amr", "amr --version", "amr nonsense", "amr score -h")),)

CASES = (*PREDICT, *EXTRACT, *SIMULATIONS, *TRAININGS, *SCORES, *PLOTS, *CONVERSIONS, *INFOS, *HELP)
