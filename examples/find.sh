#!/bin/sh
# The main job: recordings and a sentence in, seconds out. Run it from the top of the repository.
set -eu
amr predict --query "someone chops wood" examples/audio/lumberjack.ogg --format table
