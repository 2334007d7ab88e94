"""What of a feature file is not as it was written, by its checksums."""

from __future__ import annotations

from collections.abc import Iterator

from amr.formats.features.read import FeatureFile
from amr.formats.features.sums import CRC, HEAD, sum_of_frames, sum_of_head, sum_of_query, sum_of_recording


def changes(file: FeatureFile) -> Iterator[str]:
    """What is not as it was written, in words. Raises ``InputError`` as reading does."""
    columns = file.columns
    stored = columns.attribute(CRC)
    if stored is not None and stored != sum_of_head({name: columns.attribute(name) for name in HEAD}):
        yield f"the attributes {', '.join(HEAD)} are not as they were written"
    crcs = columns.optional(f"audio/{CRC}", "u")
    for first, stop, rows in file.blocks():
        offset = int(file.start[first])
        for index in range(first, min(stop, len(crcs))):
            begin, end = int(file.start[index]), int(file.start[index + 1])
            frames_sum = sum_of_frames(rows[begin - offset : end - offset])
            fields = (end - begin, float(file.durations_s[index]), file.ids[index], file.sources[index])
            if sum_of_recording(frames_sum, *fields) != int(crcs[index]):
                yield f"recording {file.ids[index]!r} is not as it was written"
    for query, crc in zip(file.queries, columns.optional(f"text/{CRC}", "u"), strict=False):
        if sum_of_query(query, *file.stored_text(query)) != int(crc):
            yield f"query {query!r} is not as it was written"
