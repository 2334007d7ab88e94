"""How much a file may claim to hold before the claim is taken for a lie, and no memory for it is taken.

What is stored as it is cannot be larger than its file. What is compressed can: deflate makes a thousand bytes
of one, but only of what repeats itself without end, which features do not. Files that are small when unpacked
are believed whatever they are.
"""

from __future__ import annotations

MOST_COMPRESSION = 100
"""Features of digital silence shrink to a fiftieth, all others to a half or so."""

ALWAYS_BELIEVED_BYTES = 64 * 2**20
"""As much as this may be unpacked from a file of any size."""


def believable(claimed_bytes: int, file_bytes: int, *, compressed: bool) -> bool:
    """Whether a file of ``file_bytes`` may hold what claims to be ``claimed_bytes``."""
    if not compressed:
        return claimed_bytes <= file_bytes
    return claimed_bytes <= max(ALWAYS_BELIEVED_BYTES, MOST_COMPRESSION * file_bytes)
