"""The best moment through the loudspeaker, by a player that is there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from amr.errors import InputError, MissingError

if TYPE_CHECKING:
    from amr.formats.predictions import Prediction
    from amr.tasks.places import Places

PLAYERS = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "aplay": ("-q",),
    "afplay": (),
}
"""And the options that have them play a WAV file, say little, and end."""


def find_player() -> list[str]:
    """The command line of a player, without the file.

    Raises:
        MissingError: there is none.
    """
    for name, arguments in PLAYERS.items():
        path = shutil.which(name)
        if path is not None:
            return [path, *arguments]
    raise MissingError(f"no audio player is installed: looked for {', '.join(PLAYERS)}", where="--play")


def play_moment(player: Sequence[str], predictions: Sequence[Prediction], places: Places) -> None:
    """Play the moment of the highest score; nothing where none was found.

    Raises:
        InputError: its recording is not where its path says. MissingError: the player does not play.
    """
    from amr.formats.exchange.tracks import Track, Window
    from amr.tasks.clips import MomentClip, write_clip

    found = [(window, each.vid) for each in predictions for window in each.windows]
    if not found:
        return
    window, vid = max(found, key=lambda moment: moment[0][2])
    source = places.path(vid)
    if not Path(source).is_file():
        raise InputError(f"the recording {vid!r} is not at {source or 'any known path'}", where="--play")
    with tempfile.TemporaryDirectory() as folder:
        clip = MomentClip(Path(folder) / "moment.wav", Track(vid, "", []), Window(*window))
        write_clip(clip, Path(source), context_s=0.0, force=False)
        done = subprocess.run([*player, str(clip.path)], stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise MissingError(f"{player[0]} ended with exit code {done.returncode}", where="--play")
