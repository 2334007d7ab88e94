"""``amr serve``: a page on this machine that searches while one types."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from amr.cli import options


def serve(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Feature files; folders, whose recordings are encoded once and kept in their feats.h5; "
            "recordings. With feature files: where their recordings lie. Default: $AMR_FEATURES, else "
            "feats.h5.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where accepted and rejected moments are kept (JSONL). Default: labels.jsonl beside the "
            "features.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Keep the features of folders and recordings here."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="best, curves, window, or a trained model's file. Default: best for yamnet features, curves "
            "for others.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="0: any that is free. Default: 8765, or any where that is taken.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen; for other machines too, e.g. 0.0.0.0, with a password, not encrypted.",
        ),
    ] = "127.0.0.1",
    device: options.Device = "auto",
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,  # noqa: ARG001  # amr.cli.main reads it
) -> None:
    """Search recordings in the browser: a page on this machine, as long as this runs.

    \b
    amr serve recordings/
    amr serve feats.h5 recordings/ --labels birds.jsonl --port 0

    Standard output is the link to the page, with its token. Ctrl-C ends it. Everything on the page is JSON at
    its own address, too: see docs/serve.md.
    """
    require_packages()
    from contextlib import ExitStack

    from amr.audio.noise import library_chatter_hidden
    from amr.cli.messages import say
    from amr.cli.predict import LIKELY_SCORE
    from amr.cli.progress import shown_progress
    from amr.serve.inputs import encode_missing, recordings_in, sorted_inputs
    from amr.serve.server import bind, link_to, open_page
    from amr.serve.server import serve as serve_page
    from amr.tasks.inputs import SearchInputs, open_search
    from amr.tasks.models import load_model
    from amr.tasks.networks import AUTO, SHIPPED
    from amr.tasks.standing import index_where_worth_it, standing

    context.with_resource(library_chatter_hidden())
    stack = context.with_resource(ExitStack())
    found = sorted_inputs(inputs or [], features, stack)
    with shown_progress("amr serve", quiet=quiet) as on_progress:
        encode_missing(found, on_progress, workers=workers)
    chosen = load_model(model or AUTO, device=device)
    search = context.with_resource(open_search(SearchInputs(found.features, []), [], chosen))
    index_where_worth_it(search)
    standing_search = context.with_resource(standing(search))
    places = recordings_in(found.folders, search.collection.vids)
    sock = context.with_resource(bind(host, port))
    page = open_page(
        standing_search,
        places,
        labels or found.labels,
        sock,
        host,
        title=title_of(inputs or found.features),
        likely=LIKELY_SCORE if search.model.name == SHIPPED else None,
    )
    context.call_on_close(page.close)
    silent = sum(each.path is None for each in page.library.recordings.values())
    if silent and not quiet:
        say(f"amr serve: warning: the files of {silent} recordings are not here: name their folder, too")
    if page.access.password:
        say(
            "amr serve: warning: the connection is not encrypted, others in this network can read it; the"
            f" password is {page.access.password}"
        )

    def ready() -> None:
        sys.stdout.write(link_to(page, host) + "\n")
        sys.stdout.flush()
        if not quiet:
            say(f"amr serve: labels are kept in {page.labels.path}; Ctrl-C ends it")

    serve_page(page, sock, ready)


def require_packages() -> None:
    """Raises ``MissingError`` where the extra is not installed."""
    from importlib.util import find_spec

    from amr.errors import MissingError, install_command

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise MissingError(f"the page needs {' and '.join(missing)}", hint=install_command("serve"))


def title_of(names: list[str]) -> str:
    """What the page is called: the folder, or the file, that is served."""
    first = Path(names[0])
    name = (first.resolve().parent if first.name == "feats.h5" else first.resolve()).name
    return name if len(names) == 1 else f"{name} and {len(names) - 1} more"
