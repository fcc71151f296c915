"""``monitor probe URL`` and ``monitor probe worker``: asked every few seconds, so answered lightly."""

# Only what is needed is imported: an HTTP client is more than all of the other.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str]") -> int:
    """Ask, print one line, and return the exit code: 0 passed, 1 failed, 2 a wrong command line."""
    if arguments[:1] == ["worker"]:
        from monitor.cli import probe_worker  # noqa: PLC0415

        return probe_worker.main(arguments[1:])
    from monitor.cli import probe_url  # noqa: PLC0415

    return probe_url.main(arguments)
