"""How git is asked for a diff, so that nobody's configuration changes what it prints."""

import os
from collections.abc import Mapping

# What a repository's own configuration could change and no option of "git diff" fixes.
_SETTINGS = (
    "safe.directory=*",  # the caller named the repository; what it could start is switched off here
    "core.fsmonitor=false",  # would start a program named by the repository
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "diff.suppressBlankEmpty=false",
    "diff.context=3",  # the option for it would ask for a patch where only names are wanted
    "diff.interHunkContext=0",
)

# Everything that changes the form of a patch or which files are paired, fixed; the values are git's own defaults.
DIFF_OPTIONS = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--find-renames=50%",
    "-l1000",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--submodule=short",
    "--ignore-submodules=dirty",  # what a submodule holds is not ours to look at, only which commit it is at
    "--no-relative",
    "-O/dev/null",
)

# What git may learn from the caller's environment; GIT_* is left out because it can redirect anything.
_INHERITED = ("PATH", "TMPDIR", "SYSTEMROOT")


def git_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment to start git with: no user's or system's configuration, no locks, no prompts, no fetching."""
    source = os.environ if inherited is None else inherited
    return {name: source[name] for name in _INHERITED if name in source} | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
    }


def git_command(*arguments: str, quote_path: bool = True) -> list[str]:
    """A git command line that ignores configuration; `quote_path` says whether bytes above 0x7f are quoted in paths."""
    settings = (*_SETTINGS, f"core.quotePath={'true' if quote_path else 'false'}")
    return ["git", "--no-pager", *(part for setting in settings for part in ("-c", setting)), *arguments]


def diff_command(*arguments: str, quote_path: bool = True) -> list[str]:
    """The command line of the diffs we read: "git diff" with every option that matters fixed, then `arguments`."""
    return git_command("diff", *DIFF_OPTIONS, *arguments, quote_path=quote_path)
