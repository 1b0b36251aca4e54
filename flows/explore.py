"""`huzhu explore RUN`: a local page on a run, with sliders over its points and a live what-if.

By Panel, because its server lives in this process, on the loopback address, so that a what-if is
simulated by the kernels that are loaded here. It sends nothing anywhere and needs no account, and
its scripts come with the package and from our own server: the page works without a network. It
works with the versions of pandas and Bokeh that we have, without a second way of running a file.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from results.run import RunError

if TYPE_CHECKING:
    from flows.explore_kernels import Kernels
    from results.places import Folder

ADDRESS: Final = "127.0.0.1"
FIRST_PAGE: Final = """
{% extends base %}
{% block contents %}
<script>
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  window.location.replace("?theme=" + (dark ? "dark" : "light"));
</script>
{% endblock %}
"""
"""Sends the browser on to the page in the colours that its user prefers."""


def serve(
    folder: Folder | str,
    port: int = 0,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page of a run on this machine until Ctrl-C or SIGTERM, which end it in order.

    Parameters
    ----------
    folder : path or URL
        The run folder.
    port : int
        Port of 127.0.0.1; 0 for a free one.
    open_browser : bool
        Whether to open the page in the user's browser.
    say : callable
        Told the address, and that it ends.

    Raises
    ------
    RunError
        The run does not open, or the port is taken.
    """
    from flows.explore_kernels import Kernels
    from flows.explore_page import explored

    found = explored(folder)
    free = _free_port(port)
    kernels = Kernels(found.run.folder, found.config, min(found.finished, default=0))
    asyncio.run(_serve(found.run.folder, kernels, free, open_browser, say))


async def _serve(
    folder: Folder, kernels: Kernels, port: int, open_browser: bool, say: Callable[[str], None]
) -> None:
    """Serve until a signal to stop."""
    import panel as pn

    pn.extension(notifications=False, loading_indicator=False)
    server = pn.io.server.get_server(
        lambda: _page(folder, kernels),
        port=port,
        address=ADDRESS,
        websocket_origin=[f"{ADDRESS}:{port}", f"localhost:{port}"],
        title=f"{folder.name} – huzhu explore",
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    server.start()
    address = f"http://{ADDRESS}:{port}/"
    say(f"{address} shows {folder}; Ctrl-C ends it")
    if open_browser:
        webbrowser.open(address)
    await stopped.wait()
    server.stop()


def _page(folder: Folder, kernels: Kernels) -> Any:
    """Return a page on the run as it is now."""
    import panel as pn

    from flows.explore_page import Page, explored, look_of

    theme = pn.state.session_args.get("theme", [b""])[0].decode()
    if theme not in ("dark", "light"):
        return pn.Template(FIRST_PAGE)
    return Page(explored(folder), kernels, look_of(theme)).servable()


def _free_port(port: int) -> int:
    """Return a port that can be listened at: the one asked for, or any.

    Raises
    ------
    RunError
        It is taken.
    """
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((ADDRESS, port))
        except OSError as error:
            raise RunError(
                f"--port: expected a free port of {ADDRESS}, got {port} ({error.strerror}); "
                "leave it out for any"
            ) from None
        return int(tried.getsockname()[1])
