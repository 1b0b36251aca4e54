"""Commands whose arguments may begin with a dash: SQL after a comment line, a folder's name.

What looks like no option, or names a file, a folder or a run, is an argument. A misspelt option is
still refused with the nearest one.
"""

import contextlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

import click

_LIKE_AN_OPTION: Final = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]*(=.*)?")


class Command(click.Command):
    """A command whose arguments may begin with a dash, without `--` before them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command line, of which arguments may begin with a dash."""
        if not ctx.resilient_parsing:
            params = self.get_params(ctx)
            options = [param for param in params if isinstance(param, click.Option)]
            args = _arguments_last(args, options)
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def _arguments_last(words: Sequence[str], options: Sequence[click.Option]) -> list[str]:
    """Return the words with all arguments behind `--` where one of them begins with a dash."""
    by_name = {name: option for option in options for name in option.opts}
    runs_folder = _runs_folder(words, by_name)
    named: list[str] = []
    arguments: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments += rest
            break
        if not word.startswith("-") or _is_argument(word, by_name, runs_folder):
            arguments.append(word)
            continue
        named.append(word)
        if word in by_name and not by_name[word].is_flag:
            if not rest:
                raise click.BadOptionUsage(word, f"Option {word!r} requires an argument.")
            named.append(rest.pop(0))
    return [*named, "--", *arguments] if any(a.startswith("-") for a in arguments) else list(words)


def _is_argument(word: str, by_name: Mapping[str, click.Option], runs_folder: str) -> bool:
    """Whether a word that begins with a dash is an argument."""
    if word.partition("=")[0] in by_name:
        return False
    if not _LIKE_AN_OPTION.fullmatch(word) or os.path.lexists(word):
        return True
    with contextlib.suppress(OSError):
        return any(name.startswith(word) for name in os.listdir(runs_folder))
    return False


def _runs_folder(words: Sequence[str], by_name: Mapping[str, click.Option]) -> str:
    """Return the folder in which a command looks for runs; empty where it looks for none."""
    option = by_name.get("--results")
    given = [word.partition("=")[2] for word in words if word.startswith("--results=")]
    given += [value for word, value in itertools.pairwise(words) if word == "--results"]
    return given[-1] if given else "" if option is None else str(option.default)
