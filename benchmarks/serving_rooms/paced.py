"""A server that plays one FLV recording to any number of viewers, each in real time from its beginning.

    python paced.py RECORDING

It prints its port, then answers /NAME with the recording and /started with the moment at which each name began.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / 30  # seconds of media that are sent at once: a picture, and the sound beside it
_HEAD = 13  # bytes before an FLV's first tag
_PREFIX, _SUFFIX = 11, 4  # bytes around a tag's data


def cut(flv: bytes) -> tuple[bytes, list[tuple[float, bytes]]]:
    """The file's head with its headers, and its tags in parcels of a tick: when each is due, in seconds, and what."""
    parcels: list[tuple[float, bytes]] = []
    at, begin, due = _HEAD, _HEAD, 0.0
    while at + _PREFIX <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(flv[at + 7 : at + 8] + flv[at + 4 : at + 7], "big")
        if time_ms / 1000 >= due + _TICK:
            parcels.append((due, flv[begin:at]))
            begin, due = at, time_ms / 1000
        at += _PREFIX + size + _SUFFIX
    parcels.append((due, flv[begin:at]))
    return flv[:_HEAD], parcels


@dataclass
class Viewer:
    """One who watches since a moment, by the monotonic clock, and the number of the next parcel."""

    began: float
    place: int = 0


class Player:
    """The recording, and who watches it."""

    def __init__(self, recording: Path) -> None:
        self.head, self.parcels = cut(recording.read_bytes())
        self.started: dict[str, float] = {}
        self.watching: dict[asyncio.StreamWriter, Viewer] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).split()
            name = request[1].decode().strip("/")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: video/x-flv\r\n\r\n")
            if name == "started":
                writer.write(json.dumps(self.started).encode())
                writer.close()
            else:
                self.started[name] = time.time()
                writer.write(self.head)
                self.watching[writer] = Viewer(time.monotonic())
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def play(self) -> None:
        """To all of them, picture by picture; one timer for all costs less than one for each."""
        while True:
            await asyncio.sleep(_TICK / 2)
            now = time.monotonic()
            for writer, viewer in list(self.watching.items()):
                while viewer.place < len(self.parcels):
                    due, parcel = self.parcels[viewer.place]
                    if viewer.began + due + _TICK > now:  # an encoder sends a picture once it is there
                        break
                    writer.write(parcel)
                    viewer.place += 1
                if viewer.place == len(self.parcels) or writer.is_closing():
                    writer.close()
                    del self.watching[writer]


async def main(recording: Path) -> None:
    player = Player(recording)
    server = await asyncio.start_server(player.answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(player.play())
        group.create_task(server.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
