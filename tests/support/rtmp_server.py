"""A real RTMP server for tests: nginx with Debian's libnginx-mod-rtmp on a free loopback port, fed by `ffmpeg -re`.

It neither reads nor touches the machine's own nginx. Everything started here is stopped when the `with` ends.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules", "/etc/nginx/modules")
START_SECONDS = 5.0

# `live` keeps its viewers when the publisher leaves, and sends them nothing; `strict` turns them away.
CONFIG = """
load_module {module};
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 512; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; wait_key on; }}
        application strict {{ live on; wait_key on; idle_streams off; }}
        {more}
    }}
}}
"""


def free_port() -> int:
    """A loopback port without a listener at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_tools() -> tuple[str, Path, str]:
    """nginx, its RTMP module and ffmpeg; skips the test with a reason if one is absent."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("needs nginx (Debian: apt install nginx-light libnginx-mod-rtmp)")
    module = next((path for path in (Path(folder) / "ngx_rtmp_module.so" for folder in MODULES) if path.exists()), None)
    if module is None:
        pytest.skip("needs nginx's RTMP module (Debian: apt install libnginx-mod-rtmp)")
    return nginx, module, find_ffmpeg()


def find_ffmpeg() -> str:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs the ffmpeg command")
    return ffmpeg


class RtmpServer:
    """nginx on one port, and the publishers that feed it."""

    def __init__(self, directory: Path) -> None:
        self.nginx, self.module, self.ffmpeg = find_tools()
        self.directory = directory
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.feeders: list[subprocess.Popen[bytes]] = []

    def url(self, name: str, application: str = "live") -> str:
        return f"rtmp://127.0.0.1:{self.port}/{application}/{name}"

    def more(self) -> str:
        """More applications of the server's configuration."""
        return ""

    def start(self) -> None:
        """Start on the previous port, or on a free one, and wait until it accepts connections."""
        self.port = self.port or free_port()
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(module=self.module, directory=self.directory, port=self.port, more=self.more()))
        command = [self.nginx, "-e", str(self.directory / "error.log"), "-p", str(self.directory), "-c", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        log = self.directory / "error.log"
        pytest.fail(f"nginx did not start: {log.read_text() if log.exists() else 'no log'}")

    def kill(self) -> None:
        """Kill the server at once, as in a crash; `start` brings it back on the same port."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def publish(self, media: Path, name: str, application: str = "live") -> subprocess.Popen[bytes]:
        """Feed a file in real time, over and over, until the returned publisher is stopped."""
        command = [self.ffmpeg, "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(media)]
        command += ["-c", "copy", "-f", "flv", self.url(name, application)]
        self.feeders.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.feeders[-1]

    def stop(self) -> None:
        for feeder in self.feeders:
            end_publisher(feeder)
        self.kill()


class HookedServer(RtmpServer):
    """nginx-rtmp that tells of the streams of its application `hooked`."""

    def __init__(self, directory: Path, hooks: str) -> None:
        """`hooks` is the URL that is called."""
        super().__init__(directory)
        self.hooks = hooks

    def more(self) -> str:
        return f"application hooked {{ live on; wait_key on; on_publish {self.hooks}; on_publish_done {self.hooks}; }}"


def end_publisher(feeder: subprocess.Popen[bytes]) -> None:
    """Interrupt the publisher like Ctrl-C: it signs off from the server."""
    feeder.terminate()
    try:
        feeder.wait(2)
    except subprocess.TimeoutExpired:
        feeder.kill()
        feeder.wait()


@contextmanager
def rtmp_server(directory: Path) -> Iterator[RtmpServer]:
    """A running server in `directory`; skips with a reason if nginx, its module or ffmpeg is absent."""
    server = RtmpServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def make_broadcast(
    path: Path, *, seconds: float, tone: int = 330, picture: str = "testsrc2", size: str = "160x120"
) -> Path:
    """A small FLV of a test card and a tone, H.264 and AAC, with two keyframes per second; all packets differ."""
    picture = f"{picture}=size={size}:rate=20,trim=duration={seconds}"
    sound = f"sine=frequency={tone}:beep_factor=3:sample_rate=44100:duration={seconds}"
    command = [
        find_ffmpeg(),
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        sound,
    ]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-pix_fmt", "yuv420p"]
    command += ["-c:a", "aac", "-b:a", "48k", "-flvflags", "no_duration_filesize", str(path)]
    subprocess.run(command, check=True)
    return path
