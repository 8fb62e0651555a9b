"""An MPEG transport stream in parts: a new one begins where the programs or their PIDs change.

Tables longer than one packet are not compared.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.ingest.parts import ByteParts, WhatCame

_READ_BYTES = 1 << 18
_TABLE_BYTES = 1 << 20  # among so many, the tables come again; they are due ten times per second
_SYNC = 0x47
_LAYOUTS = ((188, 0), (192, 4), (204, 0))  # bytes per packet, and where its sync byte stands
_TELLING_PACKETS = 5  # with a sync byte each, to be believed
HEAD_BYTES = 204 * (_TELLING_PACKETS + 1)  # enough to recognise a transport stream
_PID = 0x1FFF  # the bits of a packet's PID
_START = 0x4000  # with a PID: the packet begins a table or a frame
_PAT, _PMT = 0x00, 0x02  # table ids
_TABLE_HEADER = 8  # bytes before a table's own data …
_CRC = 4  # … and after them
_Key = tuple[int, bytes, int]  # a table's PID, the number of its program, and of its section


class TsParts(ByteParts):
    """A transport stream as `Parts`."""

    name = "transport stream"
    format = "mpegts"

    def __init__(self, file: WhatCame) -> None:
        super().__init__(file)
        self.ahead = b""  # read, but not handed out
        self.size = self.sync = 0  # of a packet, and where its sync byte stands; unknown before the first read
        self.pat = b""  # the packet with the latest table of programs
        self.tables: dict[_Key, bytes] = {}
        self.programs: dict[_Key, dict[int, int]] = {}  # by a program's table: its streams' PIDs and types
        self.watched = np.zeros(2 * _START, np.bool_)  # the packets that begin a table, by _START and PID
        self.watched[_START] = True
        self.listed: frozenset[int] = frozenset()  # PIDs of the programs' tables so far
        self.chosen: frozenset[int] = frozenset()  # PIDs that are read; empty while FFmpeg looks for them
        self.wants_more = False  # sound or picture is missing: any new stream may be it
        self.changed = False  # this part is over, and another one follows

    def choose(self, pids: frozenset[int], /, *, wants_more: bool) -> None:
        self.chosen, self.wants_more = pids, wants_more

    def entry(self, byte: int) -> tuple[bytes, int]:
        """As of FLV; the tables come again before `byte`."""
        return b"", max(byte - _TABLE_BYTES, 0) // self.size * self.size

    def go_on(self) -> bool:
        while self.read(_READ_BYTES):
            pass
        found, self.changed = self.changed, False
        self.choose(frozenset(), wants_more=False)
        return found

    def read(self, size: int) -> bytes:
        """Whole packets of this part, at most `size` bytes; empty at its end."""
        if self.changed:
            return b""
        while len(self.ahead) < (self.size or HEAD_BYTES):
            more = self.file.read(size)
            if not more:
                rest, self.ahead = self.ahead, b""
                return rest
            self.ahead += more
        if not self.size:
            self.size, self.sync = _layout(self.ahead) or _LAYOUTS[0]
        whole = min(size, len(self.ahead)) // self.size * self.size
        end = self.find_end(self.ahead[:whole]) if whole else size
        given, self.ahead = self.ahead[:end], self.ahead[end:]
        if self.changed and not self.ahead.startswith(self.pat):
            self.ahead = self.pat + self.ahead
        return given

    def find_end(self, data: bytes) -> int:
        """How many bytes belong to this part; fewer, too, if the packets do not follow one another."""
        packets = np.frombuffer(data, np.uint8).reshape(-1, self.size)
        lost = np.flatnonzero(packets[:, self.sync] != _SYNC)
        if lost.size:
            packets = packets[: lost[0]]
        for row in self.table_rows(packets):
            if self.changes(packets[row].tobytes()):
                self.changed, self.is_plain = True, False
                self.programs, self.tables = {}, {}
                return row * self.size
        if not lost.size:
            return len(data)
        self.damaged, self.is_plain = True, False
        first = int(lost[0]) * self.size
        return first + _next_packet(data[first:], self.size, self.sync)

    def table_rows(self, packets: "NDArray[np.uint8]") -> Iterator[int]:
        """Which packets begin a table that is watched, those that are watched from the row before on among them."""
        words = packets[:, self.sync + 1].astype(np.uint16) << 8
        words |= packets[:, self.sync + 2]
        words &= _START | _PID
        start = 0
        while start < len(words):
            rows = np.flatnonzero(self.watched[words[start:]]) + start
            start = len(words)
            for row in rows.tolist():
                listed = self.listed
                yield row
                if self.listed != listed:
                    start = row + 1
                    break

    def changes(self, packet: bytes) -> bool:
        """Take note of the table that a packet begins; returns whether it ends this part."""
        pid = int.from_bytes(packet[self.sync + 1 : self.sync + 3], "big") & _PID
        table = _table_in(packet[self.sync : self.sync + 188])
        if table is None:
            return False
        key = (pid, table[3:5], table[6])
        if self.tables.get(key) == table or _crc(table):
            return False
        self.tables[key] = table
        if table[0] == _PAT and pid == 0:
            self.pat = packet
            return self.has_other_programs(_programs_in(table), whole=table[7] == 0)
        return table[0] == _PMT and self.has_other_streams(key, _streams_in(table))

    def has_other_programs(self, pids: frozenset[int], *, whole: bool) -> bool:
        self.listed |= pids
        self.watched[[_START | pid for pid in pids]] = True
        gone = [streams for (pid, *_), streams in self.programs.items() if pid not in pids]
        return whole and any(not self.chosen or self.chosen & streams.keys() for streams in gone)

    def has_other_streams(self, key: _Key, streams: dict[int, int]) -> bool:
        before = self.programs.get(key)
        self.programs[key] = streams
        if before is None:
            return False
        if not self.chosen:  # what FFmpeg will choose is not known, nor whether it has come as far as this
            return streams != before
        read = self.chosen & before.keys()
        lost = any(streams.get(pid) != before[pid] for pid in read)
        return lost or (bool(read) and self.wants_more and bool(streams.keys() - before.keys()))


def is_ts(head: bytes) -> bool:
    """Whether a file that begins with `head` is a transport stream."""
    return _layout(head) is not None


def _layout(head: bytes) -> tuple[int, int] | None:
    for size, sync in _LAYOUTS:
        at = head[sync : sync + size * _TELLING_PACKETS : size]
        if len(at) == _TELLING_PACKETS and set(at) == {_SYNC}:
            return size, sync
    return None


def _next_packet(data: bytes, size: int, sync: int) -> int:
    """Where the packets begin again; the whole length if nowhere."""
    at = data.find(_SYNC, sync + 1)
    while at >= 0:
        if set(data[at : at + size * _TELLING_PACKETS : size]) == {_SYNC}:
            return at - sync
        at = data.find(_SYNC, at + 1)
    return len(data)


def _table_in(packet: bytes) -> bytes | None:
    """The whole table in a packet; None if it is longer, cut off or not yet valid."""
    at = 5 + packet[4] if packet[3] & 0x20 else 4
    if at >= len(packet):
        return None
    at += 1 + packet[at]
    size = 3 + (int.from_bytes(packet[at + 1 : at + 3], "big") & 0x0FFF)
    table = packet[at : at + size]
    return table if len(table) == size > _TABLE_HEADER + _CRC and table[5] & 1 else None


def _programs_in(table: bytes) -> frozenset[int]:
    """The PIDs of the programs' own tables; program 0 is the network's."""
    entries = [table[at : at + 4] for at in range(_TABLE_HEADER, len(table) - _CRC, 4)]
    return frozenset(int.from_bytes(one[2:], "big") & _PID for one in entries if one[:2] != b"\0\0")


def _streams_in(table: bytes) -> dict[int, int]:
    """A program's streams: PID to type."""
    streams = {}
    at = 12 + (int.from_bytes(table[10:12], "big") & 0x0FFF)
    while at + 5 <= len(table) - _CRC:
        streams[int.from_bytes(table[at + 1 : at + 3], "big") & _PID] = table[at]
        at += 5 + (int.from_bytes(table[at + 3 : at + 5], "big") & 0x0FFF)
    return streams


def _crc(table: bytes) -> int:
    """The remainder of CRC-32/MPEG-2, 0 for a table that is whole."""
    rest = 0xFFFFFFFF
    for byte in table:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1) ^ (0x04C11DB7 if rest & 0x80000000 else 0)
            rest &= 0xFFFFFFFF
    return rest
