"""The network between viewer and server, as a process that can be told to break: a TCP proxy."""

import asyncio
import socket
import struct
from contextlib import suppress
from multiprocessing.connection import Connection

_PIECE = 2048  # bytes
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing with it sends a reset


class _Gate:
    def __init__(self, control: Connection, port: int) -> None:
        self.control, self.port = control, port
        self.writers: set[asyncio.StreamWriter] = set()
        self.is_dark = False  # nothing passes, and nobody is told
        self.refuses = False
        self.rate: float | None = None  # bytes per second
        self.ended = asyncio.Event()

    async def run(self) -> None:
        server = await asyncio.start_server(self.connect, "127.0.0.1", 0)
        asyncio.get_running_loop().add_reader(self.control.fileno(), self.obey)
        self.control.send(server.sockets[0].getsockname()[1])
        await self.ended.wait()
        server.close()

    def obey(self) -> None:
        command, *arguments = self.control.recv()
        if command == "end":
            self.ended.set()
        else:
            getattr(self, command)(*arguments)

    def reset(self) -> None:
        for writer in self.writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()

    def darken(self, is_dark: bool) -> None:
        self.is_dark = is_dark

    def refuse(self, refuses: bool) -> None:
        self.refuses = refuses
        if refuses:
            self.close()

    def throttle(self, rate: float | None) -> None:
        self.rate = rate

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.is_dark:
            await asyncio.sleep(0.02)
        try:
            if self.refuses:
                raise ConnectionError
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, their_writer}
        await asyncio.gather(self.pump(reader, their_writer), self.pump(their_reader, writer))
        self.writers -= {writer, their_writer}

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                while self.is_dark:
                    await asyncio.sleep(0.02)
                if self.rate is not None:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(data)
                await writer.drain()
        writer.close()


def run_gate(control: Connection, port: int) -> None:
    """The process: tells its own port on `control`, then obeys the commands there."""

    async def run() -> None:
        await _Gate(control, port).run()

    asyncio.run(run())
