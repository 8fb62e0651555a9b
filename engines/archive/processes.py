"""Processes seen from outside: the memory of one, and whether one that a ledger names still lives."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


def resident_bytes(process: int | None) -> int:
    """The bytes of RAM that a process holds; 0 if it is gone or the system has no /proc.

    RLIMIT_AS would count what torch and CUDA only reserve, which is many times as much.
    """
    try:
        pages = int(Path(f"/proc/{process}/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def can_see_memory() -> bool:
    """Whether this system tells what memory a process holds."""
    return resident_bytes(os.getpid()) > 0


@dataclass(frozen=True)
class ProcessName:
    """What tells one process from all others, also from a later one with its number."""

    host: str
    number: int
    begun: int  # in ticks since the start of the machine; 0 if the system does not tell

    def may_live(self) -> bool:
        """Whether it is running; True for one on another machine, of which nothing is known."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _begin_of(self.number) == self.begun


def own_name() -> ProcessName:
    """The name of this process."""
    return ProcessName(socket.gethostname(), os.getpid(), _begin_of(os.getpid()))


def _begin_of(process: int) -> int:
    """In ticks; -1 for one that has ended and that its parent has not taken note of."""
    try:
        said = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    fields = said.rpartition(")")[2].split()  # the program's name, in brackets, may hold anything
    return -1 if fields[0] in "ZX" else int(fields[19])
