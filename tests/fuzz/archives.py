"""Changes of a zip archive that leave its sums and directory right: what lies in a member is changed."""

from __future__ import annotations

import io
import random
import warnings
import zipfile

from amr.formats.untrusted.zips import ZIP_FAILURES

from .target import RawMutation

ODD_NAMES = (
    "features.npy",
    "last_hidden_state.npy",
    "../x.npy",
    "/abs.npy",
    "",
    "a/data.pkl",
    "a/data/0",
    "x\n",
)


def change_member(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    """The archive with a member's content or name changed, doubled, left out, or compressed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except ZIP_FAILURES:
        return raw(data)
    if not members:
        return raw(data)
    place, act = rng.randrange(len(members)), rng.randrange(8)
    name, content = members[place]
    if act == 0:
        members[place] = (rng.choice(ODD_NAMES), content)
    elif act == 1:
        del members[place]
    elif act == 2:
        members.append((name + rng.choice(("", "x")), content))
    else:
        members[place] = (name, raw(content))
    return packed(members, zipfile.ZIP_DEFLATED if rng.random() < 0.15 else zipfile.ZIP_STORED)


def packed(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Members as a zip archive of our making."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name are what we want
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "empty"), content, compression)
    return buffer.getvalue()
