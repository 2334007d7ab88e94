"""Files of the Hugging Face hub, by its own client.

A file is looked for in the client's cache, and fetched into it when it is first needed. The variables that
its users set count here too: ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME``.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from amr.errors import MissingError

OFFLINE_VARIABLE = "AMR_OFFLINE"
log = logging.getLogger("amr")


@dataclass(frozen=True)
class HubFile:
    """A published file.

    Args:
        name: of the file.
        repositories: that hold this very file; it is fetched from the first, a local copy of any will do.
    """

    name: str
    repositories: tuple[str, ...]


def is_offline() -> bool:
    """Whether the user forbids fetching for amr alone; ``HF_HUB_OFFLINE`` forbids it for every program."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


def local_copy(file: HubFile, variable: str) -> Path:
    """A copy of the file on this machine, fetched if there is none.

    Args:
        file: what is needed.
        variable: that names a folder of files which were fetched by hand, for the hint.

    Raises:
        MissingError: there is none, and it may not or cannot be fetched.
    """
    # Else the client fetches a list of programs from the hub, and reports which of them runs it.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

    for repository in file.repositories:
        found = try_to_load_from_cache(repository, file.name)
        if isinstance(found, str):
            return Path(found)
    repository = file.repositories[0]
    url, hint = hf_hub_url(repository, file.name), f"download it by hand, and set its folder in {variable}"
    if is_offline():
        raise MissingError(
            f"is not on this machine, and {OFFLINE_VARIABLE} forbids downloading it", where=url, hint=hint
        )
    log.info("fetching %s", url)
    try:
        return Path(hf_hub_download(repository, file.name))
    except Exception as error:  # whatever the transport of the client's version raises
        reason = " ".join(str(error).split())
        raise MissingError(f"cannot be downloaded ({reason})", where=url, hint=hint) from error
