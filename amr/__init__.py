"""amr finds moments in sound: language-based audio moment retrieval.

Rooms, from the top down (an import points down only; ``tests/test_layers.py`` guards it):
``cli``, ``report``, ``training``, ``simulation``, ``retrieval``, ``models``, ``encoders``, ``formats``,
``audio`` and ``metrics``, ``moments`` (with ``errors`` at the bottom).
"""

__version__ = "0.1.0"
