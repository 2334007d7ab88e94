"""The page on this machine that searches while one types (``amr serve``), and its JSON.

``library`` has what is known of the recordings, ``guard`` decides who may ask, ``routes`` are the addresses,
``server`` answers on a socket. Needs the extra ``serve`` (Starlette, uvicorn).
"""
