"""Imitations of control group file systems in a directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NO_LIMIT_V1 = "9223372036854771712\n"
MIB = 1024 * 1024


def write_tree(root: Path, files: Mapping[str, str]) -> None:
    """Write files, given by their paths below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def memory_v2(limit: str, current: int = 0, inactive_file: int = 0) -> dict[str, str]:
    """Return the memory files of a v2 group."""
    stat = f"anon 4096\nfile 8192\ninactive_anon 0\nactive_file 100\ninactive_file {inactive_file}\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{current}\n", "memory.stat": stat}


def memory_v1(limit: str, usage: int = 0, inactive_file: int = 0) -> dict[str, str]:
    """Return the memory files of a v1 group. Its own inactive_file excludes those of its children."""
    stat = f"cache 8192\ninactive_file 1\nactive_file 100\ntotal_inactive_file {inactive_file}\n"
    return {"memory.limit_in_bytes": f"{limit}\n", "memory.usage_in_bytes": f"{usage}\n", "memory.stat": stat}


def cpu_v2(maximum: str, usage_usec: int = 0) -> dict[str, str]:
    """Return the CPU files of a v2 group."""
    return {"cpu.max": f"{maximum}\n", "cpu.stat": f"usage_usec {usage_usec}\nuser_usec 1\nnr_throttled 0\n"}


def below(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return the same files with paths in a directory."""
    return {f"{directory}/{name}" if directory else name: text for name, text in files.items()}
