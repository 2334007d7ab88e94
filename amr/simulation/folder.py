"""The output folder: ``recipe.jsonl`` first, ``audio/VID.flac`` as they come, ``annotations.jsonl`` last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from amr.errors import InputError
from amr.formats.lock import lock_path, sole_writer
from amr.formats.recipes import Scene, check_name, scene_line
from amr.formats.side_files import require_plain
from amr.formats.streams import open_output

AUDIO_FOLDER = "audio"
PART_NAME = re.compile(r"\.(.+)\.(\d+\.part|lock)")
"""What ``amr.formats.streams.open_output`` keeps beside a file until it is complete."""


class OutputFolder:
    """Where a simulation is written.

    Args:
        root: the folder; made when it is missing, its parent must be there.
        shard: which part of how many, from 0; the files of a part say so in their names.
        force: replace what is there.
        resume: go on with what is there.
    """

    def __init__(self, root: Path, *, shard: tuple[int, int], force: bool, resume: bool) -> None:
        part = "" if shard[1] == 1 else f"-{shard[0] + 1}-of-{shard[1]}"
        self.root = root
        self.recipe_path = root / f"recipe{part}.jsonl"
        self.annotations_path = root / f"annotations{part}.jsonl"
        self._lock = root / lock_path(self.recipe_path).name
        self._force = force
        self._resume = resume

    @property
    def replace(self) -> bool:
        """Whether existing files may be replaced: asked for, or the same files again."""
        return self._force or self._resume

    def audio_path(self, scene: Scene) -> Path:
        """Where a scene's recording goes: always directly in the folder ``audio``."""
        return self.root / AUDIO_FOLDER / f"{check_name(scene.vid, scene.vid)}.{scene.encoding}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other writers of this part out of it; one that stays empty goes again.

        Raises:
            InputError: its own folder is missing; another process writes to it; recipe or annotations are
                there already, and nothing says what to do with them.
        """
        if not self.root.parent.is_dir():
            raise InputError("the folder of this output does not exist", where=self.root)
        is_new = not self.root.exists()
        self.root.mkdir(exist_ok=True)
        try:
            with sole_writer(self.recipe_path, where=self.root):
                self._refuse_what_is_there([self.recipe_path, self.annotations_path])
                yield
        finally:
            if is_new:
                with suppress(OSError):  # something was written
                    self.root.rmdir()

    def begin(self, scenes: Sequence[Scene], *, with_audio: bool) -> None:
        """Refuse what is in the way, and write the recipe.

        Raises:
            InputError: something stands there already, is no regular file, or belongs to another plan.
        """
        recipe = "".join(map(scene_line, scenes)).encode("utf-8")
        paths = [self.audio_path(scene) for scene in scenes] if with_audio else []
        if (self.root / AUDIO_FOLDER).is_symlink():
            raise InputError("is a link, its target is left as it is", where=self.root / AUDIO_FOLDER)
        self._refuse_what_is_there([self.recipe_path, self.annotations_path, *paths])
        if self._resume:
            self._require_same_plan(recipe)
            self._clear_parts([self.recipe_path, self.annotations_path, *paths])
        if with_audio:
            (self.root / AUDIO_FOLDER).mkdir(exist_ok=True)
        with open_output(self.recipe_path, force=self.replace) as file:
            file.write(recipe)

    def is_done(self, scene: Scene) -> bool:
        """Whether ``--resume`` finds the recording; a name appears only when its bytes are complete."""
        return self._resume and self.audio_path(scene).exists()

    def _clear_parts(self, targets: Sequence[Path]) -> None:
        """Remove what a killed run left half-written of these files, and of no others."""
        names = {target.name for target in targets}
        for folder in {target.parent for target in targets}:
            for part in folder.iterdir() if folder.is_dir() else ():
                match = PART_NAME.fullmatch(part.name)
                if match is not None and match[1] in names and part != self._lock:
                    part.unlink()

    def _require_same_plan(self, recipe: bytes) -> None:
        if self.recipe_path.exists() and self.recipe_path.read_bytes() != recipe:
            raise InputError(
                "holds another plan than this command draws; --resume continues the same command only",
                where=self.recipe_path,
                hint="repeat the first command's options and seed, or use another -o",
            )

    def _refuse_what_is_there(self, paths: Sequence[Path]) -> None:
        """Refuse links and what is no file; files, too, unless they are replaced or gone on with."""
        for path in paths:
            if path.is_symlink():
                raise InputError("is a link, its target is left as it is", where=path)
            require_plain(path)
            if path.exists() and not self.replace:
                raise InputError(
                    "exists already and is left as it is",
                    where=path,
                    hint="use --resume to go on, --force to replace, or another -o",
                )
