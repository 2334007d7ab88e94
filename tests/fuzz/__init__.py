"""Coverage-guided fuzzing of every reader: ``python -m tests.fuzz READER``; see docs/security.md."""
