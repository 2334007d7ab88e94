"""Which device a ``--device`` means."""

from __future__ import annotations

from amr.errors import MissingError, UsageError


def choose_device(name: str) -> str:
    """``auto`` is the first GPU where there is one, else the processor; ``cuda`` is the first GPU.

    Returns:
        ``cpu`` or ``cuda:N``: with its number, since ``torch.cuda.set_device`` takes no other.

    Raises:
        UsageError: the name is none of these.
        MissingError: that GPU is not here.
    """
    if name == "cpu":
        return name
    if name != "auto" and name != "cuda" and not (name.startswith("cuda:") and name[5:].isdecimal()):
        raise UsageError(f"{name!r} is not a device; there are auto, cpu, cuda and cuda:N", where="--device")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto" and not count:
        return "cpu"
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        raise MissingError(
            f"{name} does not exist: this machine has {count} GPUs that torch can use", where="--device"
        )
    return f"cuda:{number}"
