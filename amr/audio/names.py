"""What recordings are called: the one place that makes an id of a path, and compares ids.

A recording's id (the field's ``vid``) is its file's name without the audio extension, and nothing else is
cut off: ``Venice_4.0_64.0.wav`` is ``Venice_4.0_64.0``. Recordings that would share an id are called by the
shortest ending of their paths that no other has: ``site1/0001`` and ``site2/0001``; of one folder by their
whole names, ``rec.wav`` and ``rec.mp3``. A recording whose path is stored already keeps its id, whatever
other files are named with it.

Ids that differ in nothing but Unicode's composition (a Mac's file names are decomposed) are one id.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property, lru_cache
from pathlib import Path, PurePath

from amr.errors import InputError

log = logging.getLogger("amr")

NATIVE_EXTENSIONS = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".w64", ".rf64", ".caf"}
)
"""What libsndfile reads."""

FFMPEG_EXTENSIONS = frozenset(
    {".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".aac", ".ac3", ".wma", ".asf", ".webm", ".mkv", ".mka", ".avi"}
    | {".ape", ".wv", ".tta", ".mp2", ".mpga", ".amr", ".awb", ".3gp", ".3g2", ".mts", ".m2ts", ".ts", ".wmv"}
    | {".mpg", ".mpeg", ".vob", ".flv", ".f4v", ".ogv", ".ogx", ".spx", ".sph", ".nist", ".voc", ".eac3"}
    | {".dts", ".mpc", ".dsf", ".dss", ".tak", ".shn", ".ra", ".rm", ".mxf", ".gsm", ".m4r", ".iff", ".8svx"}
)
"""What people keep sound in besides; read through an ffmpeg binary."""

AUDIO_EXTENSIONS = NATIVE_EXTENSIONS | FFMPEG_EXTENSIONS


def audio_extension(name: str) -> str:
    """The audio extension that a name ends in, lower case; empty when it ends in none that we know."""
    extension = Path(name).suffix.lower()
    return extension if extension in AUDIO_EXTENSIONS else ""


def recording_id(name: str) -> str:
    """A file's name without its audio extension; dots that are no such extension stay."""
    extension = audio_extension(name)
    return name[: len(name) - len(extension)] if extension else name


def canonical(name: str) -> str:
    """The form in which names are compared: composed (NFC). What is stored stays as it is."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def file_name_of(recording: str) -> str:
    """An id as the name of a file: ``/`` is written ``%2F``, and ``%`` is written ``%25``."""
    return recording.replace("%", "%25").replace("/", "%2F")


def id_of_file_name(name: str) -> str:
    """What :func:`file_name_of` was given."""
    return name.replace("%2F", "/").replace("%25", "%")


class Spellings:
    """Names that are there, found whether they are composed or not.

    Args:
        names: those that are there, as a set or a mapping.
    """

    def __init__(self, names: Set[str] | Mapping[str, object]) -> None:
        self._names = names

    def of(self, name: str) -> str:
        """The name as it is spelt there; a name that is not there as it came."""
        if name.isascii():
            return name
        by_form = self._by_form  # made for exact matches too, so that a clash is said
        return name if name in self._names else by_form.get(canonical(name), name)

    @cached_property
    def _by_form(self) -> dict[str, str]:
        """The names that are not ASCII, by their composed form; two of one form are said."""
        found: dict[str, str] = {}
        for name in self._names:
            if not name.isascii() and found.setdefault(canonical(name), name) != name:
                pair = f"{found[canonical(name)]!a} and {name!a}"
                log.warning("the ids %s differ in Unicode's composition only; they are taken as two", pair)
        return found


def endings(path: str | Path) -> Iterator[str]:
    """What a recording may be called, shortest first: ``x``, ``A/x``, ... ``x.wav``, ``A/x.wav``, ..."""
    *folders, name = absolute(path).parts[1:]
    for last in (recording_id(name), name):
        for depth in range(len(folders) + 1):
            yield "/".join([*folders[len(folders) - depth :], last])


def sole_endings(paths: Sequence[str], others: Iterable[str] = ()) -> list[Iterator[str]]:
    """For each path its endings that none of the paths and of ``others`` shares, shortest first."""
    shared = Counter(name for path in [*paths, *others] for name in set(map(canonical, endings(path))))
    return [(name for name in endings(path) if shared[canonical(name)] == 1) for path in paths]


def absolute(path: str | Path) -> Path:
    """A path from the root, without ``..``; links stay as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


@lru_cache(maxsize=4096)
def real_folder(folder: Path) -> Path:
    """An absolute folder without links on the way."""
    return folder.resolve()


def place(path: str | Path) -> str:
    """What is the same for all spellings of a path, by way of links to folders too."""
    whole = absolute(path)
    return str(real_folder(whole.parent) / whole.name)


def is_there(path: Path) -> bool:
    """Whether there is a file; a path from a stranger may be none at all."""
    try:
        return path.exists()
    except OSError:
        return False


def as_spelt(path: Path) -> Path:
    """A path in the form, composed or decomposed, in which it is there; one that is not there as it came."""
    if str(path).isascii() or is_there(path):
        return path
    forms = [(path.parent, path.name)]
    forms += [(Path(unicodedata.normalize(form, str(path.parent))), path.name) for form in ("NFC", "NFD")]
    found = (folder / unicodedata.normalize(form, name) for folder, name in forms for form in ("NFC", "NFD"))
    return next(filter(is_there, found), path)


def stored_text(path: str | Path) -> str:
    """A path as it is stored: bytes that are not UTF-8 are spelt out."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


HERE = Path()


class Names:
    """The ids that are taken, by the paths that they are from; names what comes.

    Args:
        sources: the path of each recording that is there, by id; empty where it is not known.
        folder: the one that relative paths in ``sources`` begin at; they are tried from here as well.
    """

    def __init__(self, sources: Mapping[str, str] | None = None, folder: Path = HERE) -> None:
        self._folder = folder
        self._sources: dict[str, str] = {}
        self._by_stem: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, source in (sources or {}).items():
            self.add(name, source)

    def add(self, name: str, source: str) -> None:
        """A recording that is there from now on."""
        self._sources[canonical(name)] = source
        self._by_stem[stem_of(source or name)].append((name, source))

    def drop(self, name: str) -> None:
        """A recording that could not be read after all."""
        source = self._sources.pop(canonical(name))
        self._by_stem[stem_of(source or name)].remove((name, source))

    def source(self, path: Path) -> str:
        """How a path is stored: as it was given, or, from elsewhere, as it is from the file's own folder."""
        if path.is_absolute() or real_folder(absolute(self._folder)) == real_folder(absolute(HERE)):
            return stored_text(path)
        return stored_text(os.path.relpath(path, self._folder))

    def has_namesake(self, path: Path, name: str) -> bool:
        """Whether the id that a file would have by its name alone is another recording's, stored before."""
        stem = stem_of(path)
        return stem != canonical(name) and stem in self._sources

    def stored_id(self, path: Path) -> str | None:
        """The id of a recording that is there already; None for a new one."""
        mine = stored_text(place(path))
        for name, source in self._by_stem.get(stem_of(path), ()):
            if source and self._is_from(mine, source):
                return name
        return None

    def _is_from(self, mine: str, source: str) -> bool:
        """Whether a file is the one that is stored as ``source``, wherever that was written from."""
        for folder in (self._folder, HERE):
            if is_there(there := folder / source):
                return place(there) == mine
        wanted = tuple(part for part in PurePath(canonical(source)).parts if part != os.pardir)
        return len(wanted) > 1 and PurePath(canonical(mine)).parts[-len(wanted) :] == wanted

    def choose(self, paths: Sequence[str]) -> list[str]:
        """Ids for recordings that are new, none of which is taken.

        Raises:
            InputError: every name that its path could give a recording is taken.
        """
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for number, path in enumerate(paths):
            groups[stem_of(path)].append(number)
        chosen = [""] * len(paths)
        for stem, numbers in groups.items():
            if len(numbers) == 1 and stem not in self._sources:
                chosen[numbers[0]] = recording_id(Path(paths[numbers[0]]).name)
                continue
            group, others = [paths[number] for number in numbers], self._paths_of(stem, paths[numbers[0]])
            taken = set(self._sources)
            for number, names in zip(numbers, sole_endings(group, others), strict=True):
                chosen[number] = free_name(names, taken, paths[number])
                taken.add(canonical(chosen[number]))
        return chosen

    def _paths_of(self, stem: str, path: str) -> list[str]:
        """Where the recordings that are there under a file name are from."""
        if self._sources.get(stem) == "":
            what = f"would be called {stem!r}, which is there already, and not said from where"
            raise InputError(what, where=path, hint="rename it, or extract it into a file of its own")
        return [str(self._folder / source) for _, source in self._by_stem.get(stem, ()) if source]


def ids_of_files(paths: Iterable[str]) -> dict[str, str]:
    """Ids for paths as tables write them, with either slash; blank ones have none.

    A path that is the end of another (``x.wav`` and ``audio/x.wav``) is the same file.
    """
    plain = {path: "/" + path.replace("\\", "/").lstrip("/") for path in paths if path.strip()}
    spelt: dict[str, str] = {}  # a name composed and decomposed is one name, as it is spelt first
    plain = {path: spelt.setdefault(canonical(rooted), rooted) for path, rooted in plain.items()}
    longer: defaultdict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(plain.values()):
        for place, letter in enumerate(path):
            if place and letter == "/":
                longer[path[place:]].append(path)
    distinct = [path for path in dict.fromkeys(plain.values()) if path not in longer]
    ids = dict(zip(distinct, Names().choose(distinct), strict=True))
    for path in set(plain.values()) - ids.keys():
        whole = [other for other in longer[path] if other in ids]
        ids[path] = ids[whole[0]] if len(whole) == 1 else recording_id(path.rsplit("/", 1)[-1])
    return {path: ids[rooted] for path, rooted in plain.items()}


def stem_of(path: str | Path) -> str:
    """What recordings are grouped by: the id that a file has when nothing stands in its way."""
    return canonical(recording_id(Path(path).name))


def free_name(names: Iterable[str], taken: Set[str], path: str) -> str:
    """The first name that is not taken. Raises ``InputError`` where all are."""
    for name in names:
        if canonical(name) not in taken:
            return name
    raise InputError(
        "every recording name that can be made from its path is taken", where=path, hint="rename it"
    )
