"""How much one request, and all of them together, may ask for."""

from __future__ import annotations

MOST_QUERIES = 20
MOST_QUERY_CHARACTERS = 500
MOST_TOP = 200
MOST_ADDRESS_BYTES = 16_384
"""Of the request's line; twenty long questions fit."""
MOST_HEADER_BYTES = 32_768
MOST_BODY_BYTES = 65_536
MOST_CONNECTIONS = 100
MOST_WAITING = 40
"""Requests that wait for a thread; more are sent away at once."""
LONGEST_STRETCH_S = 120.0
LONGEST_STRIP_S = 600.0
MOST_CLIPS = 500
MOST_CLIPS_S = 3600.0
REQUEST_S = 15.0
"""A request's head and body have to be there by then."""
ANSWER_S = 120.0
"""A reader that takes longer for an answer is left."""
MOST_SOUND_BYTES = 64 * 2**20
MOST_STRIP_BYTES = 8 * 2**20
"""Kept in memory for the next request."""
