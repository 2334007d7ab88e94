"""Finds what other packages bring: encoders and models, by a name that the user's own system gives them.

A name comes from an installed package's entry point, or from an environment variable of the user's. What the
user writes on the command line may also be ``package.module:name``, of the current folder too. What stands in
a file is never imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

from amr.errors import PluginError, UsageError, exception_line


@dataclass(frozen=True)
class PluginGroup:
    """Things of one kind that can be brought.

    Args:
        kind: what one is, for messages.
        entry_points: group in which packages name theirs.
        variable: environment variable that lists more, ``name=package.module:attribute``, with commas.
        option: of the command line that names one.
        built_in: those of this package, which nothing replaces.
    """

    kind: str
    entry_points: str
    variable: str
    option: str
    built_in: Mapping[str, str] = field(default_factory=dict)

    def targets(self) -> dict[str, str]:
        """``module:attribute`` of every name.

        Raises:
            UsageError: the variable is not such a list.
        """
        installed = {point.name: point.value for point in entry_points(group=self.entry_points)}
        return {**installed, **listed(self.variable), **self.built_in}

    def find(self, name: str) -> object:
        """What ``name`` stands for, imported.

        Raises:
            UsageError: there is nothing of that name; lists what there is.
            PluginError: there is, and importing it fails.
        """
        targets = self.targets()
        target = targets.get(name, name)
        if not is_target(target):
            hint = f"there are: {', '.join(sorted(targets))}; or package.module:name"
            raise UsageError(f"no {self.kind} {name!r}", where=self.option, hint=hint)
        module, _, attribute = target.partition(":")
        try:
            with_current_folder(module)
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            what = f"{self.kind} {name!r} cannot be imported: {exception_line(error)}"
            is_lost = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
            looked = f"{module} is looked for among what is installed, and then in the current folder"
            hint = looked if is_lost else "-v adds the traceback of its own code"
            raise PluginError(what, where=self.option, hint=hint) from error


NETWORKS = PluginGroup(kind="network", entry_points="amr.models", variable="AMR_MODELS", option="--preset")
"""Of :mod:`amr.models.architectures`; whether one is there is asked without it, which needs torch."""


def is_target(name: str) -> bool:
    """Whether it is of the form ``package.module:attribute``."""
    module, colon, attribute = name.partition(":")
    return bool(colon and module and attribute)


def listed(variable: str) -> dict[str, str]:
    """The names that an environment variable gives. Raises ``UsageError`` where it is no such list."""
    found = {}
    for item in os.environ.get(variable, "").split(","):
        name, equals, target = (part.strip() for part in item.partition("="))
        if item.strip() and not (name and equals and is_target(target)):
            raise UsageError(f"{item!r} is not name=package.module:attribute", where=variable)
        if name:
            found[name] = target
    return found


def with_current_folder(module: str) -> None:
    """Let a module of the current folder be imported where nothing that is installed has its name.

    The folder comes last on the path, so that a file in it hides no package.
    """
    folder, top = Path.cwd(), module.split(".")[0]
    if {str(folder), ""}.isdisjoint(sys.path) and (
        (folder / top).is_dir() or (folder / f"{top}.py").is_file()
    ):
        sys.path.append(str(folder))
